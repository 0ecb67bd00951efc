"""A label that somebody should look at, and why: its type, ranking, and the Parquet file of all of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from deepmark.data.parquet import read_table, write_table
from deepmark.shapes import Float

KINDS: dict[str, str] = {
    "wrong category": "The model is confident of another category in the same place, and not of the labelled one.",
    "elsewhere": "The model confidently puts a garment of this category somewhere else than the label does.",
    "mirrored landmarks": "Left and right landmarks, all or one pair, fit better under each other's numbers.",
    "swapped landmarks": "Two landmarks that are not mirror partners fit better under each other's numbers.",
    "misplaced landmarks": "Some landmarks lie elsewhere than the model's, and than others of the category usually do.",
    "box without its landmarks": "The box lies unlike other boxes about their landmarks.",
    "nothing there": "The model sees no garment where the label is.",
    "missing label": "The model is confident of a garment where nothing is labelled.",
    "duplicate across splits": "Nearly the same image is in train and in validation: the metric measures memory.",
    "duplicate in a split": "The same file is in the split twice.",
}
"""The kinds of issues, and what each means, in words for people."""

LIKELY = 0.5
"""From this score on, a label is more likely wrong than right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelIssue:
    """A reason to look at one label, or at one image."""

    split: str
    image_id: int
    item: str | None
    """Its key in the annotation file; None where the issue is the whole image or a missing item."""

    category: str | None
    """As it is labelled; None where `item` is."""

    kind: str
    """A key of KINDS."""

    score: float
    """0..1: how likely the label is wrong, see docs/evaluation.md; the same scale for every kind."""

    reason: str
    """A sentence with numbers."""

    other: str | None = None
    """The other image of a duplicate: "train/image/000012.jpg"."""

    landmarks: tuple[int, ...] = ()
    """Those whose numbers are wrong, counted from 1 inside the category."""

    box: Float[np.ndarray, "4"] | None = None
    """Where the model detects the garment, pixels; None where the issue is not about a detection."""


def rank_issues(issues: Iterable[LabelIssue]) -> list[LabelIssue]:
    """The highest scores first, one entry per item: its strongest issue, the others named in the reason.

    Missing labels and duplicates stay entries of their own.
    """
    of_item: dict[tuple[str, int, str], list[LabelIssue]] = {}
    entries = []
    for each in issues:
        if each.item is None:
            entries.append(each)
        else:
            of_item.setdefault((each.split, each.image_id, each.item), []).append(each)
    entries += map(_merge, of_item.values())
    return sorted(entries, key=lambda one: (-one.score, one.split, one.image_id, one.item or "", one.kind))


def _merge(issues: Sequence[LabelIssue]) -> LabelIssue:
    first, *others = sorted(issues, key=lambda one: (-one.score, one.kind))
    also = "".join(f". Also {other.kind} ({other.score:.2f}): {other.reason}" for other in others)
    return replace(first, reason=first.reason + also)


def count_likely(issues: Iterable[LabelIssue]) -> dict[str, int]:
    """By kind, how many labels are more likely wrong than right."""
    return dict(sorted(Counter(one.kind for one in issues if one.score >= LIKELY).items()))


_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("rank", pa.int32()),
    ("split", pa.string()),
    ("image_id", pa.int64()),
    ("item", pa.string()),
    ("category", pa.string()),
    ("kind", pa.string()),
    ("score", pa.float64()),
    ("reason", pa.string()),
    ("other", pa.string()),
    ("landmarks", pa.list_(pa.int16())),
    ("box", pa.list_(pa.float64())),
]

SCHEMA = pa.schema(_COLUMNS, metadata={"deepmark": "suspects, version 1"})
"""Fields as in LabelIssue; the rank counts from 1."""


def write_issues(path: Path, issues: Sequence[LabelIssue]) -> None:
    """Write the ranked list as Parquet, whole or not at all."""
    rows = [
        {
            "rank": rank,
            **{name: getattr(each, name) for name in SCHEMA.names if name not in ("rank", "landmarks", "box")},
            "landmarks": list(each.landmarks),
            "box": None if each.box is None else each.box.tolist(),
        }
        for rank, each in enumerate(issues, 1)
    ]
    write_table(path, pa.Table.from_pylist(rows, schema=SCHEMA))


def read_issues(path: Path) -> pa.Table:
    """The ranked list, with the columns of `SCHEMA`; raises DeepmarkError where the file is missing or damaged."""
    return read_table(path, "deepmark audit")
