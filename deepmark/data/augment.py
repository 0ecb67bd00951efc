"""Turns a record and its image into a training sample: one affine map, one linear change of colours, then what params
add to these.

Everything random comes from the given generator, so a sample is a pure function of seed, epoch and image.
Source: CenterNet (Objects as Points, 2019), section 5 and its published training code; each part is a parameter.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from deepmark import geometry
from deepmark.data.degrade import degrade, hide_landmarks
from deepmark.data.jpeg import decode_and_warp
from deepmark.params import AugmentParams
from deepmark.runtime.canvas import shrink_for
from deepmark.shapes import Float, UInt8
from deepmark.types import Garment, ImageRecord, Sample
from deepmark.vocabulary import Vocabulary

_GRAY = np.array([0.299, 0.587, 0.114])
"""Luma weights of R, G, B."""

_EIGENVALUES = np.array([0.2141788, 0.01817699, 0.00341571])
_EIGENVECTORS = np.array(
    [
        [-0.56089297, 0.71832671, 0.41158938],
        [-0.5832747, 0.00994535, -0.81221408],
        [-0.58752847, -0.69563484, 0.41340352],
    ]
)
"""Principal components of the colours of COCO, rows R, G, B, values in 0..1; method of AlexNet, 2012, section 4.1."""


def _random_center(side: float, shift: float, rng: np.random.Generator) -> float:
    """The centre of a crop along one axis of this length."""
    border = 128.0
    while side - border <= border:
        border /= 2
    return side / 2 + shift * rng.uniform(border - side / 2, side / 2 - border)


def _snap_to_pixels(offset: float, scale: float) -> float:
    """The nearest offset at which pixels of the decoded image start on whole pixels of the canvas."""
    pixel = 1.0 if offset > 0 else scale * shrink_for(scale)
    return pixel * round(offset / pixel)


def random_affine(
    size: tuple[int, int], canvas: tuple[int, int], params: AugmentParams, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "2 3"], bool]:
    """The affine map of a random crop of an image of `size`, and whether it mirrors; with `params.rotation` it turns.

    The size of the crop is a share of the letterboxed image. The centre stays 128 pixels from the border, as in
    CenterNet, or half of that as often as needed; the smaller `params.shift`, the nearer it is to the middle. Shifted
    crops start on whole pixels, where warping is faster.
    """
    height, width = size
    scale = min(canvas[0] / height, canvas[1] / width) / rng.uniform(*params.scale)
    center = _random_center(width, params.shift, rng), _random_center(height, params.shift, rng)
    x, y = (length / 2 - scale * middle for length, middle in zip(canvas[::-1], center, strict=True))
    if params.shift:
        x, y = _snap_to_pixels(x, scale), _snap_to_pixels(y, scale)
    affine = np.array([[scale, 0.0, x], [0.0, scale, y]])
    is_mirrored = bool(rng.random() < params.mirror)
    affine = geometry.mirrored(affine, canvas[1]) if is_mirrored else affine
    if params.rotation:
        affine = geometry.turned(affine, rng.uniform(-params.rotation, params.rotation), canvas)
    return affine, is_mirrored


def _mapped_boxes(garments: Sequence[Garment], affine: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "n 4"]:
    """Upright boxes around the mapped garments: of their polygons where the map turns, of their boxes otherwise.

    Around the corners of a turned box, a box of 100 x 200 pixels would grow to 148 x 219 at 15 degrees.
    """
    boxes = np.array([garment.box for garment in garments]).reshape(-1, 4)
    mapped = geometry.apply_to_boxes(affine, boxes)
    if affine[0, 1] or affine[1, 0]:
        for row, garment in zip(mapped, garments, strict=True):
            if any(len(polygon) for polygon in garment.polygons):
                points = geometry.apply(affine, np.concatenate(garment.polygons))
                row[:2] = np.maximum(row[:2], points.min(axis=0))
                row[2:] = np.minimum(row[2:], points.max(axis=0))
    return mapped


def random_colors(
    image: UInt8[np.ndarray, "h w 3"], params: AugmentParams, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Brightness, contrast and saturation in random order, then PCA lighting, as one 3 x 4 matrix for all pixels."""
    if not params.color and not params.lighting:
        return image
    colors, mean = np.eye(3, 4), np.array([*cv2.mean(image)[:3], 1.0])
    for kind in rng.permutation(3):
        gray = _GRAY @ colors
        black, mean_gray = np.zeros(4), np.array([0.0, 0.0, 0.0, gray @ mean])
        alpha = 1 + rng.uniform(-params.color, params.color)
        colors = alpha * colors + (1 - alpha) * (black, mean_gray, gray)[kind]
    colors[:, 3] += 255 * _EIGENVECTORS @ (_EIGENVALUES * rng.normal(0, params.lighting, 3))
    return cv2.transform(image, colors)


def _mapped_landmarks(
    garment: Garment,
    affine: Float[np.ndarray, "2 3"],
    canvas: tuple[int, int],
    is_mirrored: bool,
    vocabulary: Vocabulary,
) -> Float[np.ndarray, "k 3"]:
    """x, y on the canvas and v; 0 for landmarks outside the canvas and rows past the category's own landmarks."""
    landmarks = garment.landmarks
    if is_mirrored:
        landmarks = landmarks[list(vocabulary.categories[garment.category].mirror)]
    points = geometry.apply(affine, landmarks[:, :2])
    inside = ((points >= 0) & (points < canvas[::-1])).all(axis=1) & (landmarks[:, 2] > 0)
    mapped = np.zeros((vocabulary.most_landmarks, 3), np.float32)
    mapped[: len(landmarks)][inside] = np.column_stack([points, landmarks[:, 2]])[inside]
    return mapped


def make_sample(
    record: ImageRecord,
    jpeg: bytes,
    *,
    canvas: tuple[int, int],
    augment: AugmentParams | None,
    rng: np.random.Generator,
    vocabulary: Vocabulary,
) -> Sample:
    """A training sample of one image; without `augment`, the whole image letterboxed.

    `vocabulary` is that of the record. Garments outside the canvas are left out.
    """
    size = (record.height, record.width)
    if augment is None:
        affine, is_mirrored = geometry.letterbox(size, canvas), False
    else:
        affine, is_mirrored = random_affine(size, canvas, augment, rng)
    image = decode_and_warp(jpeg, affine, canvas)
    if augment is not None:
        image = random_colors(image, augment, rng)
    garments = record.garments
    boxes = geometry.clip_boxes(_mapped_boxes(garments, affine), canvas)
    kept = np.flatnonzero(geometry.box_areas(boxes) > 0)
    boxes = boxes[kept].astype(np.float32)
    mapped = [_mapped_landmarks(garments[i], affine, canvas, is_mirrored, vocabulary) for i in kept]
    landmarks = np.array(mapped, np.float32).reshape(-1, vocabulary.most_landmarks, 3)
    if augment is not None:
        if augment.cutout:
            image, landmarks = hide_landmarks(image, boxes, landmarks, augment.cutout, rng)
        image = degrade(image, augment, rng)
    return Sample(
        image=image,
        boxes=boxes,
        categories=np.array([garments[i].category for i in kept], np.int64),
        landmarks=landmarks,
        affine=affine,
    )
