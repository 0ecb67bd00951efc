"""An image that somebody is asked about, and what somebody answered."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepmark.shapes import Float64
from deepmark.vocabulary import Category


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """A garment in a labelling tool: a box, and the landmarks that belong to it."""

    name: str
    """The key of its item, "item1"; in a task "model1" for a detection, in an answer anything where it is new."""

    category: Category

    box: Float64[np.ndarray, "4"]
    """x0 y0 x1 y1, pixels."""

    landmarks: Float64[np.ndarray, "k 3"]
    """x, y in pixels and v: 2 visible, 1 occluded, 0 not there."""

    score: float | None = None
    """Of a detection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelTask:
    """An image with its labels, what the model detects in it, and why it is asked about."""

    split: str | None
    """None of a new image, which is not in the data and has no labels."""

    image_id: int
    file: str
    """Below the folder of the raw data: "train/image/000001.jpg"; of a new image below that of its own."""

    width: int
    height: int
    """Pixels, as stored in the file."""

    labels: tuple[Region, ...]
    detections: tuple[Region, ...]
    reasons: tuple[str, ...]
    """Sentences for people."""

    sha256: str
    """Of the image file."""

    items: Mapping[str, str]
    """Each item as `corrections.item_text`, by which `ingest` tells that it is still the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What somebody made of a task."""

    split: str
    image_id: int
    items: Mapping[str, str]
    sha256: str
    """As in the task."""

    regions: tuple[Region, ...]
    """All garments of the image, as they are to be."""

    by: str
    at: str
    """As in `corrections.Correction`."""

    source: str
    """The tool."""

    reason: str = ""
    unsure: bool = False
    """Somebody passed it over."""

    left_out: int = 0
    """Further annotations of the task, by other people or the same."""
