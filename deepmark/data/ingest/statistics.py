"""Statistics of a split: numbers of images, items and labelled landmarks by category, subset and source."""

from collections import Counter
from typing import Any

from deepmark.schema import SOURCES, SUBSETS
from deepmark.types import Garment, ImageRecord
from deepmark.vocabulary import Vocabulary

Group = tuple[str, str]
"""A way to divide the items and one of its parts, for example ("scale", "small")."""

_EVERYTHING: Group = ("all", "")


def _parts(vocabulary: Vocabulary) -> dict[str, list[str]]:
    return {
        "category": [category.name for category in vocabulary.categories],
        **{field: list(words.values()) for field, words in SUBSETS.items()},
        "source": list(SOURCES),
    }


def _groups(record: ImageRecord, garment: Garment, vocabulary: Vocabulary) -> list[Group]:
    return [
        _EVERYTHING,
        ("category", vocabulary.categories[garment.category].name),
        *((field, words[getattr(garment, field)]) for field, words in SUBSETS.items()),
        ("source", record.source),
    ]


class SplitStatistics:
    """Counts that are updated record by record, or by the counts of others."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.records = 0
        self.items_without_landmarks = 0
        self._images: Counter[Group] = Counter()
        self._items: Counter[Group] = Counter()
        self._landmarks: dict[int, Counter[Group]] = {1: Counter(), 2: Counter()}

    def add(self, record: ImageRecord) -> None:
        """Count one image and its garments."""
        self.records += 1
        image_groups: set[Group] = set()
        for garment in record.garments:
            groups = _groups(record, garment, self.vocabulary)
            visibility = garment.landmarks[:, 2].tolist()
            counts = {v: visibility.count(v) for v in self._landmarks}
            self.items_without_landmarks += bool(visibility) and not any(counts.values())
            self._items.update(groups)
            for v, counter in self._landmarks.items():
                counter.update(dict.fromkeys(groups, counts[v]))
            image_groups.update(groups)
        self._images.update(image_groups)

    def merge(self, other: "SplitStatistics") -> None:
        """Add the counts of other records."""
        self.records += other.records
        self.items_without_landmarks += other.items_without_landmarks
        self._images.update(other._images)
        self._items.update(other._items)
        for v, counter in self._landmarks.items():
            counter.update(other._landmarks[v])

    def _counts(self, group: Group) -> dict[str, Any]:
        occluded, visible = self._landmarks[1][group], self._landmarks[2][group]
        return {
            "pictures": self._images[group],
            "items": self._items[group],
            "share_of_items": _share(self._items[group], self._items[_EVERYTHING]),
            "labelled_landmarks": visible + occluded,
            "visible_landmarks": visible,
            "occluded_landmarks": occluded,
        }

    def as_dict(self, split: str) -> dict[str, Any]:
        """The counts of all groups, empty ones too; where the vocabulary has those of a released set, with them.

        An item counts as one without landmarks where its category has some, and none of them is labelled.
        """
        totals = self._counts(_EVERYTHING)
        del totals["share_of_items"]
        parts = {
            kind: {name: self._counts((kind, name)) for name in names}
            for kind, names in _parts(self.vocabulary).items()
        }
        categories = self.vocabulary.categories
        released = {one.name: one.released_items[split] for one in categories if split in one.released_items}
        for name, items in released.items():
            parts["category"][name]["released_items"] = items
            parts["category"][name]["released_share_of_items"] = _share(items, sum(released.values()))
        return {**totals, "items_without_landmarks": self.items_without_landmarks, "by": parts}


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
