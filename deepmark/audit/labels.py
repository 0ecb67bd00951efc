"""All labelled items of the audited splits as columns, one row per item."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepmark.audit.label_issue import LabelIssue
from deepmark.shapes import Bool, Complex, Float, Int64
from deepmark.types import GarmentColumns, ImageRecord, garment_columns
from deepmark.vocabulary import Category, Vocabulary


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels(GarmentColumns):
    """The labelled items of the audited splits."""

    splits: list[str]
    image_ids: Int64[np.ndarray, " n"]
    items: list[str]
    """Keys in the annotation files: "item1"."""

    sizes: Float[np.ndarray, "n 2"]
    """Width and height of the item's image, pixels."""

    def points(
        self, rows: Int64[np.ndarray, " n"], category: Category
    ) -> tuple[Complex[np.ndarray, "n k"], Bool[np.ndarray, "n k"]]:
        """The landmarks of items of one category as x + iy, and which of them are labelled."""
        landmarks = self.landmarks[rows, : category.landmarks]
        return landmarks[..., 0] + 1j * landmarks[..., 1], landmarks[..., 2] > 0

    def issue(self, row: int, kind: str, score: float, reason: str, **facts: Any) -> LabelIssue:
        """An issue of the item in this row."""
        return LabelIssue(
            split=self.splits[row],
            image_id=int(self.image_ids[row]),
            item=self.items[row],
            category=self.vocabulary.categories[self.category[row]].name,
            kind=kind,
            score=score,
            reason=reason,
            **facts,
        )


def collect_labels(records: Mapping[str, Iterable[ImageRecord]], vocabulary: Vocabulary) -> Labels:
    """The items of all splits, in the order of the splits and their records."""
    rows = [(split, record, item) for split, each in records.items() for record in each for item in record.garments]
    garments = [item for _, _, item in rows]
    return Labels(
        vocabulary=vocabulary,
        splits=[split for split, _, _ in rows],
        image_ids=np.array([record.id for _, record, _ in rows], np.int64),
        items=[item.item for item in garments],
        sizes=np.array([(record.width, record.height) for _, record, _ in rows], np.float64).reshape(-1, 2),
        **garment_columns(garments, vocabulary),
    )
