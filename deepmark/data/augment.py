"""A picture of the data set becomes a sample: one affine look at it, one linear change of its colours.

Everything random is drawn from the generator given, so a sample is a pure function of seed, epoch and picture.
Source: CenterNet (Objects as Points, 2019), section 5 and its published training code; each part is a parameter.
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from deepmark import geometry
from deepmark.data.images import look_at, shrink_for
from deepmark.params import AugmentParams
from deepmark.schema import CATEGORIES, MOST_LANDMARKS
from deepmark.types import Garment, ImageRecord, Sample

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
"""Principal components of COCO's colours, rows R, G, B, for values in 0..1; after AlexNet, 2012, section 4.1."""


def _free_center(side: float, shift: float, rng: np.random.Generator) -> float:
    border = 128.0
    while side - border <= border:
        border /= 2
    return side / 2 + shift * rng.uniform(border - side / 2, side / 2 - border)


def _on_the_grid(offset: float, ratio: float) -> float:
    """The nearest offset with which whole pixels of the decoded picture begin on whole pixels of the canvas."""
    pixel = 1.0 if offset > 0 else ratio * shrink_for(ratio)
    return pixel * round(offset / pixel)


def random_view(
    size: tuple[int, int], canvas: tuple[int, int], params: AugmentParams, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "2 3"], bool]:
    """A random crop of a picture of `size` on the canvas, and whether it is mirrored.

    The crop's scale is a share of the letterboxed picture; its centre keeps CenterNet's border of 128 pixels, halved
    until it fits, and `params.shift` draws it to the middle. A crop that strays begins on whole pixels, which makes it
    quick to look at.
    """
    height, width = size
    ratio = min(canvas[0] / height, canvas[1] / width) / rng.uniform(*params.scale)
    center = _free_center(width, params.shift, rng), _free_center(height, params.shift, rng)
    x, y = (room / 2 - ratio * middle for room, middle in zip(canvas[::-1], center, strict=True))
    if params.shift:
        x, y = _on_the_grid(x, ratio), _on_the_grid(y, ratio)
    view = np.array([[ratio, 0.0, x], [0.0, ratio, y]])
    is_mirrored = bool(rng.random() < params.mirror)
    return (geometry.mirrored(view, canvas[1]) if is_mirrored else view), is_mirrored


def random_colors(
    image: UInt8[np.ndarray, "h w 3"], params: AugmentParams, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Brightness, contrast and saturation in random order, then PCA lighting: one 3 x 4 matrix over all pixels."""
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


def _seen_landmarks(
    garment: Garment, view: Float[np.ndarray, "2 3"], canvas: tuple[int, int], is_mirrored: bool
) -> Float[np.ndarray, "39 3"]:
    landmarks = garment.landmarks
    if is_mirrored:
        landmarks = landmarks[list(CATEGORIES[garment.category].mirror)]
    points = geometry.apply(view, landmarks[:, :2])
    inside = ((points >= 0) & (points < canvas[::-1])).all(axis=1) & (landmarks[:, 2] > 0)
    seen = np.zeros((MOST_LANDMARKS, 3), np.float32)
    seen[: len(landmarks)][inside] = np.column_stack([points, landmarks[:, 2]])[inside]
    return seen


def make_sample(
    record: ImageRecord,
    jpeg: bytes,
    *,
    canvas: tuple[int, int],
    augment: AugmentParams | None,
    rng: np.random.Generator,
) -> Sample:
    """What the network sees of one picture; without `augment`, the whole of it, letterboxed.

    Garments with nothing left inside the canvas are left out.
    """
    size = (record.height, record.width)
    if augment is None:
        view, is_mirrored = geometry.letterbox(size, canvas), False
    else:
        view, is_mirrored = random_view(size, canvas, augment, rng)
    image = look_at(jpeg, view, canvas)
    if augment is not None:
        image = random_colors(image, augment, rng)
    garments = record.garments
    boxes = np.array([garment.box for garment in garments]).reshape(-1, 4)
    boxes = geometry.clip_boxes(geometry.apply_to_boxes(view, boxes), canvas)
    kept = np.flatnonzero(geometry.box_areas(boxes) > 0)
    landmarks = [_seen_landmarks(garments[i], view, canvas, is_mirrored) for i in kept]
    return Sample(
        image=image,
        boxes=boxes[kept].astype(np.float32),
        categories=np.array([garments[i].category for i in kept], np.int64),
        landmarks=np.array(landmarks, np.float32).reshape(-1, MOST_LANDMARKS, 3),
        view=view,
    )
