"""The categories of a data set as one value, which travels with everything that was made for them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from deepmark.errors import DeepmarkError
from deepmark.vocabulary.category import Category

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The categories that a data set has labels of, and their landmarks.

    Arrays by landmark have one row of `most_landmarks` per garment, filled from its start; the flat list has the
    landmarks of all categories one after the other.
    """

    name: str = field(compare=False)
    """What people call it: "DeepFashion2"."""

    categories: tuple[Category, ...]

    @cached_property
    def by_name(self) -> dict[str, Category]:
        return {category.name: category for category in self.categories}

    @cached_property
    def landmarks(self) -> int:
        """Length of the flat list: 294 in DeepFashion2."""
        return sum(category.landmarks for category in self.categories)

    @cached_property
    def most_landmarks(self) -> int:
        """Landmarks of the category that has most: 39 in DeepFashion2."""
        return max(category.landmarks for category in self.categories)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """The flat list's mirror permutation; an involution that never leaves a category."""
        return _flat((category.start + i for i in category.mirror) for category in self.categories)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The name of each landmark of the flat list, each at most once per category."""
        return _flat(category.parts for category in self.categories)

    @cached_property
    def sigmas(self) -> tuple[float, ...]:
        """The OKS sigma of each landmark of the flat list."""
        return _flat(category.sigmas for category in self.categories)

    @cached_property
    def own_landmarks(self) -> "np.ndarray":
        """Bool (categories, most_landmarks): which landmarks of a garment's row its category has."""
        import numpy as np

        counts = np.array([category.landmarks for category in self.categories])
        return np.arange(self.most_landmarks) < counts[:, None]

    def difference(self, other: "Vocabulary") -> str | None:
        """The first difference in words, "this" and "the other" by turns; None where results are comparable."""
        for mine, theirs in zip(self.categories, other.categories, strict=False):
            if mine.name != theirs.name:
                return f'category {mine.index + 1} is "{mine.name}" in one and "{theirs.name}" in the other'
            if mine != theirs:
                return f'"{mine.name}" has other {_first_difference(mine, theirs)}'
        if len(self.categories) != len(other.categories):
            return f"one has {len(self.categories)} categories, the other {len(other.categories)}"
        return None


def _flat(values: Iterable[Iterable[Any]]) -> tuple[Any, ...]:
    return tuple(chain.from_iterable(values))


def _first_difference(mine: Category, theirs: Category) -> str:
    if mine.parts != theirs.parts:
        return f"landmarks ({mine.landmarks} and {theirs.landmarks})" if mine.landmarks != theirs.landmarks else "names"
    return "mirror pairs" if mine.mirror != theirs.mirror else "sigmas"


def check_same(one: Vocabulary, where: object, other: Vocabulary, there: object, remedy: str) -> None:
    """Refuse to bring two things together that were made for different vocabularies.

    Raises:
        DeepmarkError: they differ; the message names both places, both vocabularies, the first difference and the
            remedy.
    """
    if one != other and (difference := one.difference(other)):
        raise DeepmarkError(
            f"{where} has the vocabulary {one.name}, but {there} has {other.name}: {difference}. {remedy}"
        )
