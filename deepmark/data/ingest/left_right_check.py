"""Check of landmark numbering: each "left" landmark should lie left of its mirror partner on most garments.

A low share shows that a data set, or a new version of it, numbers its landmarks differently. Left and right are as seen
in the image; of another vocabulary than DeepFashion2's, only landmarks whose names begin with "left" are looked at. For
"short sleeve outwear" the dataset's figure swaps labels 2 and 4, and tables copied from the figure pair 2 with 26
instead of 6. The data are right: label 2 is the outer landmark of the neck, which lies nearer to the shoulder (7) than
label 4, and its partner is 6.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepmark.data.records import Column, read_batches
from deepmark.shapes import Bool, Float
from deepmark.vocabulary import DEEPFASHION2, Category

ENOUGH = 20
"""A pair is judged only if both landmarks are labelled on at least this many garments."""

OUTWEAR = DEEPFASHION2.by_name["short sleeve outwear"]
_LABEL_2, _LABEL_4, _LABEL_7 = 1, 3, 6
"""Indices, counted from 0. By number and not by name: the numbering is what is checked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairCheck:
    """How often a pair of landmarks lies as expected."""

    name: str
    """ "vest: left hem corner", or the rule of the two labels."""

    garments: int
    """Garments on which the landmarks are labelled."""

    share: float
    """Share of these garments on which the pair lies as expected, 0..1."""


def check_left_right(records: Path) -> list[PairCheck]:
    """The check of every mirrored pair that `ENOUGH` garments show, lowest share first.

    Reads columns only, which takes seconds for the whole of DeepFashion2.

    Raises DeepmarkError where the file of records cannot be read.
    """
    outcomes: dict[str, list[np.ndarray]] = defaultdict(list)
    batches = read_batches(records)
    for batch in batches:
        garments: Column = batch.column("garments")
        categories, lists = (garments.flatten().field(name) for name in ("category", "landmarks"))
        starts = (lists.offsets.to_numpy() - lists.offsets[0].as_py())[:-1]
        rows = np.stack([lists.flatten().field(name).to_numpy().astype(np.float64) for name in "xyv"], axis=1)
        for category in batches.vocabulary.categories:
            chosen = starts[categories.to_numpy() == category.index]
            _add_outcomes(outcomes, category, rows[chosen[:, None] + np.arange(category.landmarks)])
    checks = []
    for name, parts in outcomes.items():
        holds = np.concatenate(parts)
        if len(holds) >= ENOUGH:
            checks.append(PairCheck(name=name, garments=len(holds), share=float(holds.mean())))
    return sorted(checks, key=lambda check: check.share)


def _add_outcomes(
    outcomes: dict[str, list[np.ndarray]], category: Category, points: Float[np.ndarray, "n k 3"]
) -> None:
    """Append, for each pair of the category, whether it lies as expected on each garment that has both labels."""
    for left, right in enumerate(category.mirror):
        if category.parts[left].startswith("left") and left != right:
            both = _labelled(points, left, right)
            name = f"{category.name}: {category.parts[left]}"
            outcomes[name].append(points[both, left, 0] < points[both, right, 0])
    if category == OUTWEAR:
        points = points[_labelled(points, _LABEL_2, _LABEL_4, _LABEL_7), :, :2]
        label_2, label_4 = (np.linalg.norm(points[:, i] - points[:, _LABEL_7], axis=1) for i in (_LABEL_2, _LABEL_4))
        outcomes[f"{category.name}: label 2 nearer 7 than label 4"].append(label_2 < label_4)


def _labelled(points: Float[np.ndarray, "n k 3"], *landmarks: int) -> Bool[np.ndarray, " n"]:
    return np.all(points[:, list(landmarks), 2] > 0, axis=1)
