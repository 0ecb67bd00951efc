"""Which of the detected garments are kept: some categories only, or one garment at a place whatever its category."""

from collections.abc import Collection, Iterable

import numpy as np

from deepmark import geometry
from deepmark.errors import DeepmarkError, nearest
from deepmark.schema import SAME_GARMENT_IOU
from deepmark.types import Detections
from deepmark.vocabulary import Vocabulary


def category_numbers(names: Iterable[str], vocabulary: Vocabulary) -> set[int]:
    """The categories of these names, written as "vest dress", "Vest-Dress" or "vest_dress".

    Raises DeepmarkError for a name that none has, with the nearest one.
    """
    numbers, known = set(), {_plain(category.name): category.index for category in vocabulary.categories}
    for name in names:
        if name in vocabulary.by_name:  # where another category's name differs in letters alone
            numbers.add(vocabulary.by_name[name].index)
        elif _plain(name) in known:
            numbers.add(known[_plain(name)])
        else:
            near = nearest(_plain(name), vocabulary.by_name)
            raise DeepmarkError(f"--category: no category is named '{name}'. {near}")
    return numbers


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


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
