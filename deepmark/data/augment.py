"""A picture of the data set becomes a sample: one affine look at it, one linear change of its colours.

Everything random is drawn from the generator given, so a sample is a pure function of seed, epoch and picture.
Source: CenterNet (Objects as Points, 2019), section 5 and its published training code; each part is a parameter.
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from deepmark import geometry
from deepmark.data.images import decode_jpeg
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

_SHARP = 0.75
"""Below this ratio bilinear sampling skips pixels: the picture is first shrunk by averaging."""


def warp(
    image: UInt8[np.ndarray, "h w 3"], view: Float[np.ndarray, "2 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """The picture through the view, on a black canvas of `size` (height, width), without aliasing."""
    height, width = image.shape[:2]
    ratio = float(np.sqrt(abs(np.linalg.det(view[:, :2]))))
    if ratio < _SHARP:
        small = max(1, round(height * ratio)), max(1, round(width * ratio))
        image = cv2.resize(image, small[::-1], interpolation=cv2.INTER_AREA)
        view = view @ np.diag([width / small[1], height / small[0], 1.0])
    return cv2.warpAffine(image, geometry.pixel_centred(view), size[::-1], flags=cv2.INTER_LINEAR)


def look_at(
    jpeg: bytes, size: tuple[int, int], view: Float[np.ndarray, "2 3"], canvas: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """The JPEG of a picture of `size` seen through the view; decodes no more pixels than the view needs."""
    ratio = np.sqrt(abs(np.linalg.det(view[:, :2])))
    image = decode_jpeg(jpeg, at_least=(min(1, ratio) * size[0], min(1, ratio) * size[1]))
    shrunk = np.diag([size[1] / image.shape[1], size[0] / image.shape[0], 1.0])
    return warp(image, view @ shrunk, canvas)


def _free_center(side: float, shift: float, rng: np.random.Generator) -> float:
    border = 128.0
    while side - border <= border:
        border /= 2
    return side / 2 + shift * rng.uniform(border - side / 2, side / 2 - border)


def random_view(
    size: tuple[int, int], canvas: tuple[int, int], params: AugmentParams, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "2 3"], bool]:
    """A random crop of a picture of `size` on the canvas, and whether it is mirrored.

    The crop's scale is a share of the letterboxed picture; its centre keeps CenterNet's border of 128 pixels, halved
    until it fits, and `params.shift` draws it to the middle.
    """
    height, width = size
    ratio = min(canvas[0] / height, canvas[1] / width) / rng.uniform(*params.scale)
    x, y = _free_center(width, params.shift, rng), _free_center(height, params.shift, rng)
    view = np.array([[ratio, 0.0, canvas[1] / 2 - ratio * x], [0.0, ratio, canvas[0] / 2 - ratio * y]])
    is_mirrored = bool(rng.random() < params.mirror)
    return (geometry.mirrored(view, canvas[1]) if is_mirrored else view), is_mirrored


def random_colors(
    image: UInt8[np.ndarray, "h w 3"], params: AugmentParams, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Brightness, contrast and saturation in random order, then PCA lighting: one 3 x 4 matrix over all pixels."""
    if not params.color and not params.lighting:
        return image
    matrix, offset = np.eye(3), np.zeros(3)
    mean = np.array(cv2.mean(image)[:3])
    for kind in rng.permutation(3):
        alpha = 1 + rng.uniform(-params.color, params.color)
        if kind == 0:
            change, shift = alpha * np.eye(3), np.zeros(3)
        elif kind == 1:
            change, shift = alpha * np.eye(3), np.full(3, (1 - alpha) * (_GRAY @ (matrix @ mean + offset)))
        else:
            change, shift = alpha * np.eye(3) + (1 - alpha) * _GRAY, np.zeros(3)
        matrix, offset = change @ matrix, change @ offset + shift
    offset = offset + 255 * _EIGENVECTORS @ (_EIGENVALUES * rng.normal(0, params.lighting, 3))
    return cv2.transform(image, np.concatenate([matrix, offset[:, None]], axis=1))


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
    image = look_at(jpeg, size, view, canvas)
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
