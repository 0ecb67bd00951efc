"""Detections that are of no label, and how likely each is a garment that somebody forgot to label."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from deepmark.audit.evidence import FAINT, Norms, Sightings
from deepmark.audit.labels import Labels
from deepmark.audit.odds import fit_odds
from deepmark.geometry import box_areas, box_iou
from deepmark.schema import SAME_GARMENT_IOU
from deepmark.shapes import Bool, Float, Int64

_SAME_PLACE = 0.75
"""Detections that overlap a label, or the detection that confirms it, by this much are of its garment, whatever their
category; a jacket and the shirt below it overlap by less, most of the time."""

_ROUNDS = 3
"""Times that garments without a label are told from what else a model sees, as in `model_disagreements`."""

_FEATURES = 11


@dataclass(kw_only=True, slots=True)
class Unlabelled:
    """Detections that may be of a garment without a label, and the probability that they are."""

    images: list[int] = field(default_factory=list)
    """Ids."""

    sightings: list[int] = field(default_factory=list)
    rows: list[Float[np.ndarray, " f"]] = field(default_factory=list)
    """Features."""

    chance: Float[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))

    def features(self) -> Float[np.ndarray, "n f"]:
        return np.array(self.rows, np.float64).reshape(-1, _FEATURES)

    def likely(self, min_score: float) -> Iterator[tuple[int, int, float]]:
        """Image, detection and probability of those that are likely enough."""
        for place in np.flatnonzero(self.chance >= min_score).tolist():
            yield self.images[place], self.sightings[place], float(self.chance[place])


def find_unlabelled(labels: Labels, sightings: Sightings, norms: Norms, *, missing_share: float) -> Unlabelled:
    """The detections of no label, where this share of all garments is believed to have none.

    Each label is taken away in turn: what the best detection of its garment looks like then shows what that of one
    without a label looks like.
    """
    rows_of: dict[int, list[int]] = {}
    for row, image in enumerate(labels.image_ids.tolist()):
        rows_of.setdefault(image, []).append(row)
    together, loose, freed = _together(labels, rows_of), Unlabelled(), Unlabelled()
    for image in sightings.first:
        rows = np.array(rows_of.get(image, []), np.int64)
        scene = _Scene(sightings, norms, together, image, labels.boxes[rows], labels.category[rows])
        every = np.ones(len(rows), bool)
        for place in scene.candidates(every):
            _add(loose, image, scene, place, every)
        for i in range(len(rows)):
            others = np.arange(len(rows)) != i
            seen = [place for place in scene.candidates(others) if scene.overlaps[place, i] >= SAME_GARMENT_IOU]
            for place in seen[:1]:
                _add(freed, image, scene, place, others)
    features = loose.features()
    expected = missing_share * len(freed.rows) / max(1, len(features))
    loose.chance = np.zeros(len(features))
    for _ in range(_ROUNDS):
        odds = expected * fit_odds(freed.features(), features, 1 - loose.chance).ratio(features)
        loose.chance = odds / (1 + odds)
    return loose


def _together(labels: Labels, rows_of: dict[int, list[int]]) -> Float[np.ndarray, "c c"]:
    """How much more often than by chance two categories are labelled in one image, as a logarithm."""
    count = len(labels.vocabulary.categories)
    pairs, single = np.full((count, count), 1.0), np.full(count, 1.0)
    for rows in rows_of.values():
        shown = labels.category[rows]
        np.add.at(single, shown, 1)
        first, second = (each.ravel() for each in np.meshgrid(shown, shown))
        apart = np.flatnonzero(~np.eye(len(shown), dtype=bool).ravel())
        np.add.at(pairs, (first[apart], second[apart]), 1)
    return np.log(pairs * pairs.sum() / pairs.sum(axis=1)[:, None] / pairs.sum(axis=0))


class _Scene:
    """An image with its labels and detections."""

    def __init__(
        self,
        sightings: Sightings,
        norms: Norms,
        together: Float[np.ndarray, "c c"],
        image: int,
        boxes: Float[np.ndarray, "n 4"],
        categories: Int64[np.ndarray, " n"],
    ) -> None:
        first = sightings.first[image]
        self.detected = np.arange(first, first + sightings.count[image])
        self.sightings, self.norms, self.together = sightings, norms, together
        self.boxes, self.categories = boxes, categories
        found = sightings.boxes[self.detected]
        self.overlaps, self.among = box_iou(found, boxes), box_iou(found, found)
        same = sightings.categories[self.detected][:, None] == categories
        strength = self.overlaps * sightings.scores[self.detected][:, None] * np.where(same, 1.0, 0.5)
        self.own = strength.argmax(axis=0) if len(found) else np.zeros(0, np.int64)
        """For each label the detection that confirms it."""

    def candidates(self, kept: Bool[np.ndarray, " n"]) -> list[int]:
        """The detections of none of these labels, the best of each place; best first."""
        own = np.unique(self.own[kept]) if len(self.detected) else np.zeros(0, np.int64)
        near = np.concatenate([self.overlaps[:, kept], self.among[:, own]], axis=1).max(axis=1, initial=0)
        order = np.flatnonzero(near < _SAME_PLACE)
        chosen: list[int] = []
        for place in order[np.argsort(-self.sightings.scores[self.detected[order]], kind="stable")].tolist():
            if self.among[place, chosen].max(initial=0) < _SAME_PLACE:
                chosen.append(place)
        return chosen

    def features(self, place: int, kept: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " f"]:
        """What speaks for a garment without a label: the score, alternatives in its place, and where the labels lie."""
        at, boxes = self.detected[place], self.boxes[kept]
        box, score, category = self.sightings.boxes[at], self.sightings.scores[at], self.sightings.categories[at]
        beside = self.among[place] * self.sightings.scores[self.detected]
        both = np.prod(np.maximum(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0), axis=1)
        area = max(float(box_areas(box[None])[0]), 1.0)
        own = np.unique(self.own[kept]) if kept.any() else np.zeros(0, np.int64)
        features = [
            np.log(score + FAINT),
            np.log(score / self.norms.thresholds[category] + FAINT),
            np.log(beside.sum() - beside[place] + FAINT),
            np.log(self.sightings.peaks[at] + FAINT),
            self.overlaps[place, kept].max(initial=0),
            self.among[place, own].max(initial=0),
            both.max(initial=0) / area,
            (both / np.maximum(box_areas(boxes), 1)).max(initial=0),
            np.log(area),
            min(len(boxes), 4),
            self.together[category, self.categories[kept]].min(initial=0),
        ]
        return np.array(features, np.float64)


def _add(to: Unlabelled, image: int, scene: _Scene, place: int, kept: Bool[np.ndarray, " n"]) -> None:
    to.images.append(image)
    to.sightings.append(int(scene.detected[place]))
    to.rows.append(scene.features(place, kept))
