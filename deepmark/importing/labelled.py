"""What a reader of a format gives: an image with its garments, or why it cannot be used."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepmark.shapes import Float64
from deepmark.vocabulary import Category, Vocabulary


class UnusableError(Exception):
    """An image is set aside; the message is a sentence for people, without the image's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledGarment:
    """A garment as somebody labelled it."""

    category: Category
    box: Float64[np.ndarray, "4"]
    """x0 y0 x1 y1, pixels."""

    landmarks: Float64[np.ndarray, "k 3"]
    """x, y in pixels and v: 2 visible, 1 occluded, 0 not labelled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledImage:
    """An image that the source names."""

    name: str
    """As the source calls it; images of one name are one image."""

    file: Path
    size: tuple[int, int] | None = None
    """(height, width) that the labels were made for; None where the source does not say it."""

    garments: tuple[LabelledGarment, ...] = ()
    split: str | None = None
    """Where the source has splits of its own: train, validation or test."""

    fault: str = ""
    """Why it cannot be used; empty where it can."""

    notes: tuple[str, ...] = ()
    """What the format could say and records cannot, in words for counting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnplacedLabel:
    """A label that belongs to no image, or to none that can be told."""

    name: str
    """Its place in the source."""

    reason: str


def category_named(name: object, vocabulary: Vocabulary) -> Category:
    """The category of this name; raises UnusableError where the vocabulary has none."""
    category = vocabulary.by_name.get(str(name))
    if category is None:
        raise UnusableError(f'has a garment "{name}", and the vocabulary {vocabulary.name} has no such category')
    return category
