"""The convention for coordinates, affine maps between images, and boxes.

Coordinates are continuous; (0, 0) is the outer corner of the first pixel, whose centre is (0.5, 0.5). Mirroring is
x -> width - x. Boxes are x0 y0 x1 y1, sizes are (height, width), affine maps are 2 x 3 and act on column vectors.
`eval.metric.overlaps` has a second IoU, which computes in the order of pycocotools and so agrees with it to the bit.
"""

import numpy as np

from deepmark.shapes import Float


def letterbox(size: tuple[int, int], into: tuple[int, int], *, scale: float = 1.0) -> Float[np.ndarray, "2 3"]:
    """The map that fits an image of `size` into the middle of a canvas of size `into` and keeps its proportions.

    `scale` shrinks the fitted image further, for multi-scale inference.
    """
    (height, width), (canvas_height, canvas_width) = size, into
    ratio = scale * min(canvas_height / height, canvas_width / width)
    return np.array(
        [
            [ratio, 0.0, (canvas_width - ratio * width) / 2],
            [0.0, ratio, (canvas_height - ratio * height) / 2],
        ]
    )


def mirrored(affine: Float[np.ndarray, "2 3"], width: float) -> Float[np.ndarray, "2 3"]:
    """The map followed by mirroring: x -> width - x after `affine`."""
    return np.array([[-affine[0, 0], -affine[0, 1], width - affine[0, 2]], affine[1]])


def turned(affine: Float[np.ndarray, "2 3"], degrees: float, size: tuple[int, int]) -> Float[np.ndarray, "2 3"]:
    """The map followed by a rotation around the middle of an image of `size`, from x towards y."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle = np.array([size[1] / 2, size[0] / 2])
    result = np.array([[cosine, -sine], [sine, cosine]]) @ affine
    result[:, 2] += middle - np.array([[cosine, -sine], [sine, cosine]]) @ middle
    return result


def inverse(affine: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """The inverse map.

    Raises numpy.linalg.LinAlgError where the map is singular.
    """
    linear = np.linalg.inv(affine[:, :2])
    return np.concatenate([linear, -linear @ affine[:, 2:]], axis=1)


def apply(affine: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
    """The points after the map."""
    return points @ affine[:, :2].T + affine[:, 2]


def apply_to_boxes(affine: Float[np.ndarray, "2 3"], boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """The smallest axis-aligned boxes around the mapped boxes."""
    corners = apply(affine, boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]])
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def pixel_centred(affine: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """The same map for libraries such as OpenCV, where (0, 0) is the centre of the first pixel."""
    shifted = affine.copy()
    shifted[:, 2] += 0.5 * (affine[:, 0] + affine[:, 1]) - 0.5
    return shifted


def clip_boxes(boxes: Float[np.ndarray, "n 4"], size: tuple[int, int]) -> Float[np.ndarray, "n 4"]:
    """The parts of the boxes inside an image of this size."""
    height, width = size
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))


def box_areas(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """Width times height; 0 for an empty or inverted box."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def box_iou(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Intersection over union of every box of `a` with every box of `b`."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    overlap = np.maximum(width, 0) * np.maximum(height, 0)
    union = box_areas(a)[:, None] + box_areas(b)[None] - overlap
    return overlap / np.maximum(union, np.finfo(union.dtype).tiny)
