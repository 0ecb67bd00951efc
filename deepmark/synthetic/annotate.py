"""Writes the annotation of a garment in the format of DeepFashion2, from the canvas it was painted on.

Scale, occlusion and zoom-in use the bounds of the data set's paper (DeepFashion2, 2019, section 2).
"""

from typing import Any

import cv2
import numpy as np

from deepmark.shapes import Float, Int
from deepmark.synthetic.canvas import Canvas, Size
from deepmark.synthetic.garment_shape import Points
from deepmark.synthetic.render_garment import PaintedGarment
from deepmark.vocabulary import DEEPFASHION2, Category

SMALL, LARGE = 0.1, 0.4
"""Shares of the image; the box of a garment of moderate scale is between them."""

SLIGHT, HEAVY = 0.2, 0.5
"""Shares of occluded landmarks: less than SLIGHT is slight, more than HEAVY is heavy."""

ZOOMED = 0.3
"""Share of landmarks outside the image above which the zoom is large."""

LEAST_VISIBLE = 0.12
"""Least visible share of a garment's cloth for it to be annotated."""

_LEAST_SIDE = 20
"""Pixels; garments with smaller boxes are not annotated."""


def annotate(canvas: Canvas, painted: PaintedGarment, *, labelled: bool = True) -> dict[str, Any] | None:
    """One item of the JSON file; None if too little of the garment is visible.

    Without `labelled`, all landmarks are 0, 0, 0, as in some items of the real files.
    """
    placed = painted.placed
    return annotation_of(
        canvas,
        DEEPFASHION2.categories[placed.design.category],
        cloth=[p for piece, p in zip(placed.pieces, placed.polygons, strict=True) if piece.kind != "lining"],
        layers=painted.cloth,
        landmarks=read_landmarks(canvas, painted),
        viewpoint=placed.viewpoint,
        style=placed.design.style,
        labelled=labelled,
    )


def annotation_of(
    canvas: Canvas,
    category: Category,
    *,
    cloth: list[Points],
    layers: tuple[int, int],
    landmarks: Int[np.ndarray, "k 3"],
    viewpoint: int,
    style: int,
    labelled: bool,
) -> dict[str, Any] | None:
    """As `annotate`, of a garment whose cloth was painted from these polygons in these layers, the first and the last.

    `landmarks` are as in the file.
    """
    return item_of(
        canvas.size,
        category,
        [part for part in (clip(polygon, canvas.size) for polygon in cloth) if len(part)],
        share=_visible_share(canvas, layers, cloth),
        landmarks=landmarks,
        viewpoint=viewpoint,
        style=style,
        labelled=labelled,
    )


def item_of(
    size: Size,
    category: Category,
    visible: list[Points],
    *,
    share: float,
    landmarks: Int[np.ndarray, "k 3"],
    viewpoint: int,
    style: int,
    labelled: bool,
) -> dict[str, Any] | None:
    """As `annotate`, of a garment with these outlines in an image of this size, of whose cloth this share is seen.

    `landmarks` are as in the file.
    """
    if not visible or share < LEAST_VISIBLE:
        return None
    outline = np.concatenate(visible)
    box = np.rint([*outline.min(axis=0), *outline.max(axis=0)]).astype(int)
    if min(box[2:] - box[:2]) < _LEAST_SIDE:
        return None
    values = landmarks if labelled else np.zeros_like(landmarks)
    hidden = np.mean(landmarks[:, 2] == 1) if len(landmarks) else 1 - share
    outside = np.mean(landmarks[:, 2] == 0) if len(landmarks) else 0.0
    return {
        "segmentation": [np.rint(part).astype(int).reshape(-1).tolist() for part in visible],
        "scale": _scale(box, size),
        "viewpoint": viewpoint,
        "zoom_in": 1 if outside == 0 else 2 if outside <= ZOOMED else 3,
        "landmarks": values.reshape(-1).tolist(),
        "style": style,
        "bounding_box": box.tolist(),
        "category_id": category.index + 1,
        "occlusion": 1 if hidden < SLIGHT else 2 if hidden <= HEAVY else 3,
        "category_name": category.name,
    }


def read_landmarks(canvas: Canvas, painted: PaintedGarment) -> Int[np.ndarray, "k 3"]:
    """x, y and v: v is 0 outside the image or in its outermost row or column, 1 if hidden, 2 otherwise."""
    height, width = canvas.size
    points = np.rint(painted.placed.landmarks).astype(int)
    inside = ((points >= 1) & (points <= (width - 1, height - 1))).all(axis=1)
    x, y = np.where(inside[:, None], points, 0).T
    above = canvas.layers[y, x].astype(int)
    hidden = above > painted.layers
    hidden[list(painted.placed.concealed)] = True
    return np.stack([x, y, np.where(hidden, 1, 2) * inside], axis=1)


def clip(polygon: Float[np.ndarray, "n 2"], size: Size) -> Float[np.ndarray, "m 2"]:
    """The part of a polygon inside an image of this size; empty if there is none.

    Source: Sutherland and Hodgman, 1974.
    """
    height, width = size
    for axis, sign, limit in ((0, 1, 0), (0, -1, width), (1, 1, 0), (1, -1, height)):
        depth = sign * (polygon[:, axis] - limit)
        ahead, depth_ahead = np.roll(polygon, -1, axis=0), np.roll(depth, -1)
        inside, crosses = depth >= 0, (depth >= 0) != (depth_ahead >= 0)
        share = depth / np.where(crosses, depth - depth_ahead, 1)
        crossing = polygon + share[:, None] * (ahead - polygon)
        crossing[:, axis] = limit
        both = np.stack([polygon, crossing], axis=1)
        polygon = both[np.stack([inside, crosses], axis=1)]
        if len(polygon) < 3:
            return np.empty((0, 2))
    return polygon


def _visible_share(canvas: Canvas, layers: tuple[int, int], cloth: list[Points]) -> float:
    first, last = layers
    seen = cv2.countNonZero(cv2.inRange(canvas.layers, first, last))
    whole = sum(cv2.contourArea(polygon.astype(np.float32)) for polygon in cloth)
    return float(seen / max(whole, 1.0))


def _scale(box: Int[np.ndarray, "4"], size: Size) -> int:
    share = (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1])
    return 1 if share < SMALL else 2 if share <= LARGE else 3
