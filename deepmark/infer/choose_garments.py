"""Which of the detected garments are kept: some categories only, or one garment at a place whatever its category."""

from collections.abc import Collection, Iterable

import numpy as np

from deepmark import geometry
from deepmark.errors import DeepmarkError, nearest
from deepmark.schema import CATEGORY_BY_NAME, SAME_GARMENT_IOU
from deepmark.types import Detections


def category_numbers(names: Iterable[str]) -> set[int]:
    """The categories of these names, written as "vest dress", "vest-dress" or "vest_dress".

    Raises DeepmarkError for a name that none has, with the nearest one.
    """
    numbers = set()
    for name in names:
        plain = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
        if plain not in CATEGORY_BY_NAME:
            raise DeepmarkError(f"--category: no category is named '{name}'. {nearest(plain, CATEGORY_BY_NAME)}")
        numbers.add(CATEGORY_BY_NAME[plain].index)
    return numbers


def choose_garments(
    detections: Detections, *, categories: Collection[int] = (), one_at_a_place: bool = False
) -> Detections:
    """The detections of these categories, or of all; `one_at_a_place` removes those that overlap a better one.

    They overlap where their boxes are the same by SAME_GARMENT_IOU. Usually garments of different categories do not
    compete, for a jacket lies over a shirt.
    """
    if categories:
        detections = detections[np.isin(detections.categories, list(categories))]
    if not one_at_a_place:
        return detections
    boxes = detections.boxes.astype(np.float64)
    rivals = geometry.box_iou(boxes, boxes) > SAME_GARMENT_IOU
    kept = np.ones(len(detections), bool)
    for row in range(len(detections)):
        if kept[row]:
            kept[row + 1 :] &= ~rivals[row, row + 1 :]
    return detections[kept]
