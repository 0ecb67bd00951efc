"""What the model finds, beside what is labelled: which detection belongs to which item, and how far to trust it.

A detection's confidence is not its score but the share of detections of about this score that agree with a label, in
category and in place: so any model's scores mean the same. Only those that are right more often than not are used.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Complex, Float, Int64

from deepmark.audit.labels import Labels
from deepmark.audit.outlier_score import isotonic
from deepmark.geometry import box_areas, box_iou
from deepmark.schema import MOST_LANDMARKS
from deepmark.types import Detections

SAME = 0.5
"""Overlap from which two boxes are about the same garment."""

CONFIDENT = 0.5
"""Confidence from which a detection is held against a label."""

FAINT = 0.05
"""Lower scores are never looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One picture: its items, the model's detections, and how much they overlap."""

    image_id: int
    rows: Int64[np.ndarray, " n"]
    """Of Labels."""

    found: Detections
    overlaps: Float[np.ndarray, "n d"]
    confidence: Float[np.ndarray, " d"]
    match: Int64[np.ndarray, " n"]
    """The confident detection of the item's own category that belongs to it; -1 for none."""

    def unclaimed(self) -> list[int]:
        """Confident detections that belong to no item."""
        sure = np.flatnonzero(self.confidence >= CONFIDENT)
        return [d for d in sure.tolist() if d not in self.match]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairing:
    """For every item of Labels the detection that belongs to it."""

    boxes: Float[np.ndarray, "n 4"]
    """NaN where nothing belongs to the item."""

    landmarks: Float[np.ndarray, "n 39 2"]
    confidence: Float[np.ndarray, " n"]
    """0 where nothing belongs to the item."""

    pictures: list[Seen] = field(default_factory=list)

    def points(
        self, rows: Int64[np.ndarray, " n"], count: int
    ) -> tuple[Complex[np.ndarray, "n k"], Float[np.ndarray, " n"]]:
        """The found landmarks of items as x + iy, and the root of the found box's area; NaN where nothing was found."""
        places = self.landmarks[rows, :count]
        return places[..., 0] + 1j * places[..., 1], np.sqrt(box_areas(self.boxes[rows]))


def noticeable(found: Detections) -> Detections:
    """The detections that are looked at; of a hundred a picture, some ten."""
    return found[found.scores >= FAINT]


def pair(labels: Labels, predictions: Iterable[tuple[int, Detections]], *, split: str) -> Pairing:
    """The detections of a split beside its items; items of other splits stay without."""
    of_picture: dict[int, list[int]] = {}
    for row, (name, number) in enumerate(zip(labels.splits, labels.image_ids.tolist(), strict=True)):
        if name == split:
            of_picture.setdefault(number, []).append(row)
    drafts = []
    for number, found in predictions:
        rows = np.array(of_picture.get(number, []), np.int64)
        kept = noticeable(found)
        drafts.append((number, rows, kept, box_iou(labels.boxes[rows], kept.boxes.astype(np.float64))))
    confidence = _confidence(labels, drafts)
    pictures = [_see(labels, draft, confidence) for draft in drafts]
    pairing = Pairing(
        boxes=np.full((len(labels), 4), np.nan),
        landmarks=np.full((len(labels), MOST_LANDMARKS, 2), np.nan),
        confidence=np.zeros(len(labels)),
        pictures=pictures,
    )
    for seen in pictures:
        matched = seen.match >= 0
        rows, chosen = seen.rows[matched], seen.match[matched]
        pairing.boxes[rows], pairing.landmarks[rows] = seen.found.boxes[chosen], seen.found.landmarks[chosen]
        pairing.confidence[rows] = seen.confidence[chosen]
    return pairing


_Draft = tuple[int, Int64[np.ndarray, " _"], Detections, Float[np.ndarray, "_ _"]]
"""A picture's number, the rows of its items, its detections, and the overlaps of both."""


def _confidence(labels: Labels, drafts: Iterable[_Draft]) -> dict[int, Float[np.ndarray, " _"]]:
    """By picture: the share of detections of about the same score that are right."""
    drafts = list(drafts)
    scores = np.concatenate([np.empty(0), *(found.scores for _, _, found, _ in drafts)])
    hits = np.concatenate([np.empty(0, bool), *(_right(labels, draft) for draft in drafts)])
    shares = isotonic(scores.astype(np.float64), hits)
    ends = np.cumsum([len(found) for _, _, found, _ in drafts])
    return (
        {number: part for (number, *_), part in zip(drafts, np.split(shares, ends[:-1]), strict=True)} if drafts else {}
    )


def _right(labels: Labels, draft: _Draft) -> np.ndarray:
    """Whether each detection is the best of its category upon an item."""
    _, rows, found, overlaps = draft
    right = np.zeros(len(found), bool)
    same = (labels.categories[rows][:, None] == found.categories) & (overlaps >= SAME)
    for candidates in same:
        if candidates.any():
            right[int(candidates.argmax())] = True  # detections come best first
    return right


def _see(labels: Labels, draft: _Draft, confidence: dict[int, Float[np.ndarray, " _"]]) -> Seen:
    number, rows, found, overlaps = draft
    sure = confidence[number]
    usable = (labels.categories[rows][:, None] == found.categories) & (sure >= CONFIDENT) & (overlaps > 0)
    match = np.full(len(rows), -1)
    pairs = np.argwhere(usable)
    order = np.argsort(-overlaps[usable], kind="stable")
    for i, d in pairs[order].tolist():
        if match[i] < 0 and d not in match:
            match[i] = d
    return Seen(image_id=number, rows=rows, found=found, overlaps=overlaps, confidence=sure, match=match)
