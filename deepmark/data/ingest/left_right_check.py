"""Whether left landmarks lie left: what shows that a data set, or a change of it, numbers its landmarks another way.

Left and right are by the picture. Of "short sleeve outwear" the dataset's figure prints labels 2 and 4 the other way
round from its data, and tables copied from the figure pair 2 with 26 instead of 6. The data tell: of the two, the one
nearer the shoulder (7) is the neck's outer landmark, 2, whose partner is 6.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from deepmark.data.records import Column, read_batches
from deepmark.schema import CATEGORIES, CATEGORY_BY_NAME, Category

ENOUGH = 20
"""Garments on which both landmarks are labelled; fewer tell nothing of a pair."""

OUTWEAR = CATEGORY_BY_NAME["short sleeve outwear"]
_NECK, _COLLAR, _SHOULDER = 1, 3, 6
"""Labels 2, 4 and 7, counted from 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Habit:
    """How often a pair of landmarks lies as it should."""

    name: str
    """ "vest: left hem corner", or the rule of the two labels."""

    garments: int
    """On which it could be seen."""

    share: float
    """Of them, those where it holds."""


def landmark_habits(records: Path) -> list[Habit]:
    """Every mirrored pair that `ENOUGH` garments show, the one that holds least first; read by columns, in seconds.

    Raises DeepmarkError where the file of records cannot be read.
    """
    held: dict[str, list[np.ndarray]] = defaultdict(list)
    for batch in read_batches(records):
        garments: Column = batch.column("garments")
        kinds, lists = (garments.flatten().field(name) for name in ("category", "landmarks"))
        starts = (lists.offsets.to_numpy() - lists.offsets[0].as_py())[:-1]
        rows = np.stack([lists.flatten().field(name).to_numpy().astype(np.float64) for name in "xyv"], axis=1)
        for category in CATEGORIES:
            chosen = starts[kinds.to_numpy() == category.index]
            _watch(held, category, rows[chosen[:, None] + np.arange(category.landmarks)])
    habits = []
    for name, parts in held.items():
        holds = np.concatenate(parts)
        if len(holds) >= ENOUGH:
            habits.append(Habit(name=name, garments=len(holds), share=float(holds.mean())))
    return sorted(habits, key=lambda habit: habit.share)


def _watch(held: dict[str, list[np.ndarray]], category: Category, points: Float[np.ndarray, "n k 3"]) -> None:
    for left, right in enumerate(category.mirror):
        if category.parts[left].startswith("left") and left != right:
            both = _labelled(points, left, right)
            name = f"{category.name}: {category.parts[left]}"
            held[name].append(points[both, left, 0] < points[both, right, 0])
    if category == OUTWEAR:
        seen = points[_labelled(points, _NECK, _COLLAR, _SHOULDER), :, :2]
        neck, collar = (np.linalg.norm(seen[:, i] - seen[:, _SHOULDER], axis=1) for i in (_NECK, _COLLAR))
        held[f"{category.name}: label 2 nearer 7 than label 4"].append(neck < collar)


def _labelled(points: Float[np.ndarray, "n k 3"], *landmarks: int) -> Bool[np.ndarray, " n"]:
    return np.all(points[:, list(landmarks), 2] > 0, axis=1)
