"""What the data sheet says of a split: its images, its items, their boxes and landmarks, counted record by record."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deepmark.schema import SOURCES, SUBSETS
from deepmark.shapes import Float64, Int64
from deepmark.types import ImageRecord
from deepmark.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 12
"""Images of a category that are shown."""


class Sample(NamedTuple):
    """An item that is shown for its category."""

    image_id: int
    item: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitCounts:
    """What is counted of a split."""

    vocabulary: Vocabulary
    images: int
    images_without_items: int

    items: "pd.DataFrame"
    """A row for each item: category (its name), source, the words of the fields of `schema.SUBSETS`, width and height
    (pixels), side (root of the share of the image's area), landmarks (labelled)."""

    visibility: Int64[np.ndarray, "categories most_landmarks 3"]
    """Items by category, landmark and v: 0 not labelled, 1 occluded, 2 visible."""

    together: Int64[np.ndarray, "categories categories"]
    """Images with items of both categories; on the diagonal, images with two items or more of the category."""

    of_category: Int64[np.ndarray, " categories"]
    """Images with items of the category."""

    files: Counter[str]
    """How often each file is in the split, by its sha256."""

    samples: tuple[tuple[Sample, ...], ...]
    """By category, at most `SAMPLES` items in different images: those of the smallest sha256, which is as good as by
    chance, and hardly changes as images come and go."""


def count_split(records: Iterable[ImageRecord], vocabulary: Vocabulary) -> SplitCounts:
    """Count the records of a split; they are read once and not kept."""
    import pandas as pd

    size = len(vocabulary.categories)
    visibility = np.zeros((size, vocabulary.most_landmarks, 3), np.int64)
    together, of_category = np.zeros((size, size), np.int64), np.zeros(size, np.int64)
    chosen: list[list[tuple[int, Sample]]] = [[] for _ in range(size)]
    files: Counter[str] = Counter()
    rows: list[tuple[object, ...]] = []
    images = empty = 0
    for record in records:
        images += 1
        empty += not record.garments
        files[record.sha256] += 1
        present: dict[int, int] = {}
        for garment in record.garments:
            states = garment.landmarks[:, 2].astype(np.int64)
            visibility[garment.category, np.arange(len(states)), states] += 1
            width, height = (garment.box[2:] - garment.box[:2]).tolist()
            side = (width * height / (record.width * record.height)) ** 0.5
            subsets = (getattr(garment, field) for field in SUBSETS)
            rows.append((garment.category, record.source, *subsets, width, height, side, int((states > 0).sum())))
            if garment.category not in present:
                _choose(chosen[garment.category], record, garment.item)
            present[garment.category] = present.get(garment.category, 0) + 1
        numbers = np.array(sorted(present), np.int64)
        of_category[numbers] += 1
        together[np.ix_(numbers, numbers)] += 1
        for category, count in present.items():
            together[category, category] -= count < 2
    columns = ["category", "source", *SUBSETS, "width", "height", "side", "landmarks"]
    return SplitCounts(
        vocabulary=vocabulary,
        images=images,
        images_without_items=empty,
        items=_named(pd.DataFrame(rows, columns=columns), vocabulary),
        visibility=visibility,
        together=together,
        of_category=of_category,
        files=files,
        samples=tuple(tuple(sample for _, sample in sorted(each, reverse=True)) for each in chosen),
    )


def _choose(chosen: list[tuple[int, Sample]], record: ImageRecord, item: str) -> None:
    """Keep the item if its image is among those of the smallest sums; the heap's first has the largest."""
    entry = -int(record.sha256, 16), Sample(record.id, item)
    if len(chosen) < SAMPLES:
        heapq.heappush(chosen, entry)
    else:
        heapq.heappushpop(chosen, entry)


def _named(items: "pd.DataFrame", vocabulary: Vocabulary) -> "pd.DataFrame":
    """The items with words in place of numbers."""
    import pandas as pd

    names = dict(enumerate(vocabulary.by_name))
    words = {"category": names, **SUBSETS}
    for column, known in words.items():
        items[column] = pd.Categorical(items[column].map(known), categories=list(known.values()))
    items["source"] = pd.Categorical(items["source"], categories=list(SOURCES))
    return items


def labelled_shares(counts: SplitCounts, category: int) -> Float64[np.ndarray, "k 2"]:
    """Of the category's items, the share in which each landmark is visible, and occluded; NaN without items."""
    own = counts.visibility[category, : counts.vocabulary.categories[category].landmarks].astype(np.float64)
    total = own.sum(axis=1, keepdims=True)
    return np.divide(own[:, [2, 1]], total, out=np.full((len(own), 2), np.nan), where=total > 0)
