"""The order in which a COCO file has the landmarks of a category: that of the names that it gives them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepmark.data.coco.convert import coco_categories
from deepmark.data.coco.dataset import OTHERS, are_numbers, find_keypoints
from deepmark.data.ingest.strict_json import short_repr
from deepmark.shapes import Float64
from deepmark.vocabulary import Category, Vocabulary


@dataclass(frozen=True, slots=True)
class LandmarkOrder:
    """Where the landmarks of a category stand in "keypoints"."""

    category: Category
    vocabulary: Vocabulary

    names: tuple[str, ...] | None
    """One for each three numbers; None where they are the category's, or those of the flat list."""

    def landmarks(self, keypoints: Any) -> Float64[np.ndarray, "k 3"] | str:
        """x, y, v in the order of the vocabulary, those that the file lacks not labelled; or what is wrong."""
        own = 3 * self.category.landmarks
        if self.names is None:
            found = find_keypoints(keypoints, self.category, self.vocabulary)
            wrong = isinstance(found, str) and found != OTHERS
            return f"'keypoints' should be {own} or {3 * self.vocabulary.landmarks} numbers" if wrong else found
        values = keypoints.tolist() if isinstance(keypoints, np.ndarray) else keypoints
        if not are_numbers(values, 3 * len(self.names)):
            return f"'keypoints' should be {3 * len(self.names)} numbers"
        landmarks = np.zeros((self.category.landmarks, 3))
        landmarks[[self.category.parts.index(name) for name in self.names]] = np.reshape(values, (-1, 3))
        return landmarks


def landmark_order(names: Any, category: Category, vocabulary: Vocabulary) -> LandmarkOrder | str:
    """The order that a category's field "keypoints" says; or what is wrong with a name.

    Without names, and where they are the numbers 1, 2, 3 …, the order is the vocabulary's.
    """
    numbers = [str(number) for number in range(1, category.landmarks + 1)]
    usual = (list(category.parts), numbers, coco_categories(vocabulary)[0]["keypoints"])
    if not isinstance(names, list) or not names or names in usual:
        return LandmarkOrder(category, vocabulary, None)
    for name in names:
        if name not in category.parts or names.count(name) > 1:
            fault = "twice" if name in category.parts else f"which has no such landmark in {vocabulary.name}"
            return f'has a keypoint {short_repr(name)} of "{category.name}", {fault}'
    return LandmarkOrder(category, vocabulary, tuple(names))
