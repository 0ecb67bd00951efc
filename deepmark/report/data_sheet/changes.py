"""What changed between two versions of the records of a split: images that came or went, labels that were corrected."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from deepmark.types import Garment, ImageRecord
from deepmark.vocabulary import Vocabulary

CORRECTIONS: tuple[str, ...] = ("category", "box", "landmarks", "subset")
"""What may differ in an item of both versions; subset: one of the fields of `schema.SUBSETS`, style or outline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """The changes of a split since an earlier version."""

    images_came: int
    images_went: int
    files_replaced: int
    """Images of the same number with another file."""

    items_came: int
    items_went: int
    """In images that are in both versions, and in those that came or went."""

    items_corrected: int
    corrected: dict[str, int]
    """How many of these differ in each of `CORRECTIONS`; one item may differ in several."""

    by_category: dict[str, tuple[int, int, int]]
    """Items that came, went and were corrected, by the category that they have now, or had before they went."""

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(
            self.images_came
            or self.images_went
            or self.files_replaced
            or self.items_came
            or self.items_went
            or self.items_corrected
        )


def changes_between(before: Iterable[ImageRecord], now: Iterable[ImageRecord], vocabulary: Vocabulary) -> Changes:
    """Compare two versions of a split; an item is told by the number of its image and its key in the annotation.

    Both are read side by side, because files of records have rising numbers of images.
    """
    images = dict.fromkeys(("came", "went", "replaced"), 0)
    differing, corrected = dict.fromkeys(CORRECTIONS, 0), 0
    counts = np.zeros((len(vocabulary.categories), 3), np.int64)
    for old, new in _side_by_side(iter(before), iter(now)):
        images["came"] += old is None
        images["went"] += new is None
        images["replaced"] += old is not None and new is not None and old.sha256 != new.sha256
        known = {item.item: item for item in old.garments} if old else {}
        for item in new.garments if new else ():
            earlier = known.pop(item.item, None)
            if earlier is None:
                counts[item.category, 0] += 1
                continue
            found = _differences(earlier, item)
            corrected += bool(found)
            counts[item.category, 2] += bool(found)
            for name in found:
                differing[name] += 1
        for gone in known.values():
            counts[gone.category, 1] += 1
    return Changes(
        images_came=images["came"],
        images_went=images["went"],
        files_replaced=images["replaced"],
        items_came=int(counts[:, 0].sum()),
        items_went=int(counts[:, 1].sum()),
        items_corrected=corrected,
        corrected=differing,
        by_category={
            name: (came, went, changed)
            for name, (came, went, changed) in zip(vocabulary.by_name, counts.tolist(), strict=True)
        },
    )


def _side_by_side(
    before: Iterator[ImageRecord], now: Iterator[ImageRecord]
) -> Iterator[tuple[ImageRecord | None, ImageRecord | None]]:
    """The images of both in the order of their numbers, None where one of them does not have it."""
    old, new = next(before, None), next(now, None)
    while old or new:
        if new is None or (old is not None and old.id < new.id):
            yield old, None
            old = next(before, None)
        elif old is None or new.id < old.id:
            yield None, new
            new = next(now, None)
        else:
            yield old, new
            old, new = next(before, None), next(now, None)


def _differences(before: Garment, now: Garment) -> list[str]:
    same = {
        "category": before.category == now.category,
        "box": np.array_equal(before.box, now.box),
        "landmarks": np.array_equal(before.landmarks, now.landmarks),
        "subset": _rest(before) == _rest(now),
    }
    return [name for name, is_same in same.items() if not is_same]


def _rest(item: Garment) -> tuple[object, ...]:
    outline = tuple(polygon.tobytes() for polygon in item.polygons)
    return item.style, item.scale, item.occlusion, item.zoom_in, item.viewpoint, outline
