"""A label that somebody should look at."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from deepmark.files import new_file

KINDS: dict[str, str] = {
    "wrong category": "The model is confident of another category in the same place, and not of the labelled one.",
    "elsewhere": "The model confidently puts a garment of this category somewhere else than the label does.",
    "mirrored landmarks": "Left and right landmarks, all or one pair, fit better under each other's numbers.",
    "swapped landmarks": "Two landmarks that are not mirror partners fit better under each other's numbers.",
    "box without its landmarks": "The box lies unlike other boxes about their landmarks.",
    "missing label": "The model is confident of a garment where nothing is labelled.",
    "duplicate across splits": "Nearly the same picture is in train and in validation: the metric measures memory.",
    "duplicate in a split": "The same file is in the split twice.",
}
"""What is suspected, in words for people."""

LIKELY = 0.5
"""Score from which an entry is more likely a fault than not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspicion:
    """One reason to look at one label, or at one picture."""

    split: str
    image_id: int
    item: str | None
    """Its key in the annotation file; None where the whole picture, or a missing item, is meant."""

    category: str | None
    """As it is labelled; None where `item` is."""

    kind: str
    """A key of KINDS."""

    score: float
    """0..1: how likely the label is wrong, see docs/evaluation.md; the same scale for every kind."""

    reason: str
    """A sentence with numbers."""

    other: str | None = None
    """The other picture of a duplicate: "train/image/000012.jpg"."""

    landmarks: tuple[int, ...] = ()
    """Those that bear a wrong number, counted from 1 inside the category."""

    box: Float[np.ndarray, "4"] | None = None
    """Where the model has the garment, pixels; None where it says nothing."""


def ranked(suspicions: Iterable[Suspicion]) -> list[Suspicion]:
    """The most suspect first, one entry an item: its strongest kind, the others named in the reason.

    Missing labels and duplicates are entries of their own.
    """
    of_item: dict[tuple[str, int, str], list[Suspicion]] = {}
    entries = []
    for each in suspicions:
        if each.item is None:
            entries.append(each)
        else:
            of_item.setdefault((each.split, each.image_id, each.item), []).append(each)
    entries += map(_strongest, of_item.values())
    return sorted(entries, key=lambda one: (-one.score, one.split, one.image_id, one.item or "", one.kind))


def _strongest(suspicions: Sequence[Suspicion]) -> Suspicion:
    first, *others = sorted(suspicions, key=lambda one: (-one.score, one.kind))
    also = "".join(f". Also {other.kind} ({other.score:.2f}): {other.reason}" for other in others)
    return replace(first, reason=first.reason + also)


def likely_by_kind(suspects: Iterable[Suspicion]) -> dict[str, int]:
    """How many entries are more likely a fault than not."""
    return dict(sorted(Counter(one.kind for one in suspects if one.score >= LIKELY).items()))


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
"""Fields as in Suspicion; the rank counts from 1."""


def write_suspects(path: Path, suspects: Sequence[Suspicion]) -> None:
    """The ranked list as Parquet, whole or not at all."""
    rows = [
        {
            "rank": rank,
            **{name: getattr(each, name) for name in SCHEMA.names if name not in ("rank", "landmarks", "box")},
            "landmarks": list(each.landmarks),
            "box": None if each.box is None else each.box.tolist(),
        }
        for rank, each in enumerate(suspects, 1)
    ]
    with new_file(path) as draft:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), draft, compression="zstd")
