"""Where a confident model says something else than the label: another category, another place, or a garment more."""

from collections.abc import Iterator

import numpy as np

from deepmark.audit.assignment import SAME, Pairing, Seen
from deepmark.audit.label_issue import Suspicion
from deepmark.audit.labels import Labels
from deepmark.audit.outlier_score import habit, score, surprise
from deepmark.geometry import box_areas, box_iou
from deepmark.schema import CATEGORIES

_ASSUMED, _LEAST = 0.1, 0.015
"""Distance of the model's sides from the labelled ones before any was seen, and at least; root areas of the box."""

_APART = 0.3
"""Overlap below which a detection is about no labelled garment."""


def items_elsewhere(labels: Labels, pairing: Pairing, *, faulty_share: float, min_score: float) -> Iterator[Suspicion]:
    """Items whose box lies further from the model's than this model's boxes usually lie, by the model's confidence."""
    sides = (labels.boxes - pairing.boxes) / np.sqrt(box_areas(pairing.boxes))[:, None]
    deviations = habit(sides, assumed=_ASSUMED, least=_LEAST).deviations(sides)
    # Two of the four sides follow from the others when a box is shifted: half of the sum.
    scores = score(surprise(deviations).sum(axis=1) / 2, faulty_share=faulty_share) * pairing.confidence
    for row in np.flatnonzero(scores >= min_score).tolist():
        overlap = box_iou(labels.boxes[row : row + 1], pairing.boxes[row : row + 1])[0, 0]
        reason = (
            f"the model's {_name(labels, row)} (confidence {pairing.confidence[row]:.2f}) overlaps the box by "
            f"{overlap:.2f} only; a side differs by {_worst(labels, pairing, row):.0f} px"
        )
        yield labels.suspicion(row, "elsewhere", float(scores[row]), reason, box=pairing.boxes[row])


def _name(labels: Labels, row: int) -> str:
    return CATEGORIES[labels.categories[row]].name


def _worst(labels: Labels, pairing: Pairing, row: int) -> float:
    return float(np.abs(labels.boxes[row] - pairing.boxes[row]).max())


def misnamed_and_missing(labels: Labels, pairing: Pairing, *, split: str, min_score: float) -> Iterator[Suspicion]:
    """Detections that belong to no item: upon an item of another category, away from their item, or alone."""
    for seen in pairing.pictures:
        for i in range(len(seen.rows)):
            yield from _misnamed(labels, seen, i, min_score)
        for d in seen.unclaimed():
            yield from _alone(labels, seen, d, split, min_score)


def _misnamed(labels: Labels, seen: Seen, i: int, min_score: float) -> Iterator[Suspicion]:
    """The item, where a detection of another category lies upon it rather than upon another item."""
    row, own = int(seen.rows[i]), _own_confidence(labels, seen, i)
    free = ~np.isin(np.arange(len(seen.found)), seen.match) & (seen.found.categories != labels.categories[row])
    upon = free & (seen.overlaps[i] >= SAME) & (seen.overlaps.argmax(axis=0) == i)
    doubts = np.where(upon, seen.confidence * seen.overlaps[i], 0.0) * (1 - own)
    d = int(doubts.argmax()) if len(doubts) else -1
    if d >= 0 and doubts[d] >= min_score:
        reason = (
            f"the model sees a {CATEGORIES[seen.found.categories[d]].name} here (confidence {seen.confidence[d]:.2f}, "
            f"overlap {seen.overlaps[i, d]:.2f}), not a {_name(labels, row)} ({own:.2f})"
        )
        box = seen.found.boxes[d].astype(np.float64)
        yield labels.suspicion(row, "wrong category", float(doubts[d]), reason, box=box)


def _own_confidence(labels: Labels, seen: Seen, i: int) -> float:
    """How confident the model is of the labelled category in this place."""
    same = (seen.found.categories == labels.categories[seen.rows[i]]) & (seen.overlaps[i] >= SAME)
    return float(seen.confidence[same].max(initial=0.0))


def _alone(labels: Labels, seen: Seen, d: int, split: str, min_score: float) -> Iterator[Suspicion]:
    overlap = float(seen.overlaps[:, d].max(initial=0.0))
    box = seen.found.boxes[d].astype(np.float64)
    sure, name = float(seen.confidence[d]), CATEGORIES[seen.found.categories[d]].name
    if overlap >= _APART or sure * (1 - overlap) < min_score:
        return
    place = "where nothing is labelled" if overlap == 0 else f"where the next label overlaps by {overlap:.2f} only"
    lost = [
        int(row)
        for row, match in zip(seen.rows, seen.match, strict=True)
        if match < 0 and labels.categories[row] == seen.found.categories[d]
    ]
    reason = f"the model sees a {name} (confidence {sure:.2f}) {place}"
    if lost:
        yield labels.suspicion(lost[0], "elsewhere", sure * (1 - overlap), reason, box=box)
    else:
        yield Suspicion(
            split=split,
            image_id=seen.image_id,
            item=None,
            category=None,
            kind="missing label",
            score=sure * (1 - overlap),
            reason=reason,
            box=box,
        )
