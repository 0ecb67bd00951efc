"""What a model that has not learnt a label says of it, as features: one row per label, one column per question.

Columns are logarithms: of strengths, which are a detection's score times its overlap with the label's box, or nats of
evidence against the label (`outlier_score.log_evidence`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepmark.audit.box_issues import MARGIN_SPREAD, box_margins
from deepmark.audit.labels import Labels
from deepmark.audit.mean_shape import MeanShape, align, fit_mean_shape
from deepmark.audit.outlier_score import TypicalRange, log_evidence, typical_range
from deepmark.geometry import box_areas
from deepmark.shapes import Bool, Float, Int64
from deepmark.types import Detections

_SIDE_SPREAD = {"assumed_spread": 0.1, "min_spread": 0.015}
"""Of the distance between a detected and a labelled side; in roots of the detected box's area."""

_POINT_SPREAD = {"assumed_spread": 0.1, "min_spread": 0.01}
"""Of the distance between a detected and a labelled landmark; in the same unit."""

FAINT = 0.01
"""Added to a strength before its logarithm: a fifth of the lowest score that counts."""

_UNSEEN = 8.0
"""Nats against a box with which no detection overlaps: as of one with which one hardly does."""

_WORST = 3
"""Landmarks whose evidence is summed: the most suspicious ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sightings:
    """All detections in the images of a split, as columns; those of an image follow each other."""

    first: Mapping[int, int]
    """The first row of an image, by its id."""

    count: Mapping[int, int]
    boxes: Float[np.ndarray, "m 4"]
    scores: Float[np.ndarray, " m"]
    categories: Int64[np.ndarray, " m"]
    landmarks: Float[np.ndarray, "m most_landmarks 2"]
    peaks: Float[np.ndarray, " m"]
    """The mean height of the peaks that placed the landmarks."""


def collect_sightings(predictions: Mapping[int, Detections]) -> Sightings:
    """The detections of a split; an image that has none is known too."""
    counts = {image: len(each) for image, each in predictions.items()}
    starts = np.cumsum([0, *counts.values()])[:-1].tolist()
    each = list(predictions.values())
    return Sightings(
        first=dict(zip(counts, starts, strict=True)),
        count=counts,
        boxes=np.concatenate([np.empty((0, 4)), *(one.boxes for one in each)]).astype(np.float64),
        scores=np.concatenate([np.empty(0), *(one.scores for one in each)]).astype(np.float64),
        categories=np.concatenate([np.empty(0, np.int64), *(one.categories for one in each)]),
        landmarks=np.concatenate([one.landmarks for one in each] or [np.empty((0, 0, 2), np.float32)]),
        peaks=np.concatenate([np.empty(0), *(_peaks(one) for one in each)]),
    )


def _peaks(detections: Detections) -> Float[np.ndarray, " n"]:
    own = detections.vocabulary.own_landmarks[detections.categories]
    return np.where(own, detections.landmark_scores, 0.0).sum(axis=1) / np.maximum(own.sum(axis=1), 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """Every label with every detection in its image."""

    label: Int64[np.ndarray, " p"]
    sighting: Int64[np.ndarray, " p"]
    overlap: Float[np.ndarray, " p"]
    strength: Float[np.ndarray, " p"]
    """Score times overlap."""

    same: Bool[np.ndarray, " p"]
    """Whether the detection is of the label's category."""

    count: int
    """Labels."""

    def best(self, chosen: np.ndarray, value: Float[np.ndarray, " p"]) -> tuple[np.ndarray, np.ndarray]:
        """For each label the largest value among the chosen pairs, and the detection that has it; 0 and -1 for none."""
        largest, which = np.zeros(self.count), np.full(self.count, -1)
        rows = np.flatnonzero(chosen & (value > 0))
        rows = rows[np.argsort(value[rows], kind="stable")]
        largest[self.label[rows]], which[self.label[rows]] = value[rows], self.sighting[rows]  # the last one stays
        return largest, which


def pair_up(labels: Labels, sightings: Sightings) -> Pairs:
    """The pairs of labels of a split with the detections in their images."""
    images = labels.image_ids.tolist()
    counts = np.array([sightings.count.get(image, 0) for image in images], np.int64)
    starts = np.array([sightings.first.get(image, 0) for image in images], np.int64)
    label = np.repeat(np.arange(len(labels)), counts)
    within = np.arange(len(label)) - np.repeat(np.cumsum(counts) - counts, counts)
    sighting = np.repeat(starts, counts) + within
    overlap = overlaps(labels.boxes[label], sightings.boxes[sighting])
    return Pairs(
        label=label,
        sighting=sighting,
        overlap=overlap,
        strength=overlap * sightings.scores[sighting],
        same=labels.category[label] == sightings.categories[sighting],
        count=len(labels),
    )


def overlaps(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """Intersection over union of boxes, row by row."""
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0)
    both = sides[:, 0] * sides[:, 1]
    return both / np.maximum(box_areas(a) + box_areas(b) - both, 1e-9)


@dataclass(frozen=True, kw_only=True, slots=True)
class Norms:
    """What is usual among the labels of a split as they are, beside its detections."""

    thresholds: Float[np.ndarray, " c"]
    """Mean strength with which the labels of a category are confirmed: the thresholds of confident learning."""

    sides: TypicalRange
    points: dict[int, TypicalRange]
    """Of the distance between labelled and detected landmarks, by category."""

    shapes: dict[int, MeanShape]
    margins: dict[int, TypicalRange]
    """Of the distance between a box's sides and its landmarks, by category."""


def norms_of(labels: Labels, sightings: Sightings) -> Norms:
    """What is usual among these labels.

    Source of the thresholds: Northcutt, Jiang and Chuang, "Confident Learning", 2021, section 3.1.
    """
    pairs = pair_up(labels, sightings)
    own, which = pairs.best(pairs.same, pairs.strength)
    categories = labels.vocabulary.categories
    total = np.bincount(labels.category, own, len(categories))
    many = np.bincount(labels.category, minlength=len(categories))
    mean = own.mean() if len(own) else 0.0
    shapes, points, margins = {}, {}, {}
    for category in categories:
        rows = np.flatnonzero(labels.category == category.index)
        if category.landmarks:
            shape = shapes[category.index] = fit_mean_shape(category, *labels.points(rows, category))
            margins[category.index] = typical_range(box_margins(labels, rows, category, shape)[0], **MARGIN_SPREAD)
        found = rows[which[rows] >= 0]
        far = _distances(labels, found, sightings, which[found], category.landmarks)
        points[category.index] = typical_range(np.concatenate([far, -far]), **_POINT_SPREAD)
    found = np.flatnonzero(which >= 0)
    return Norms(
        # five labels of the mean: rare categories have a threshold, too
        thresholds=np.maximum((total + 5 * mean) / (many + 5), FAINT),
        sides=typical_range(_sides(labels, found, sightings, which[found]), **_SIDE_SPREAD),
        points=points,
        shapes=shapes,
        margins=margins,
    )


def _sides(labels: Labels, rows: np.ndarray, sightings: Sightings, which: np.ndarray) -> Float[np.ndarray, "n 4"]:
    """How far each labelled side lies from the detected one, in roots of the detected box's area."""
    boxes = sightings.boxes[which]
    return (labels.boxes[rows] - boxes) / np.sqrt(np.maximum(box_areas(boxes), 1))[:, None]


def _distances(
    labels: Labels, rows: np.ndarray, sightings: Sightings, which: np.ndarray, count: int
) -> Float[np.ndarray, "n k"]:
    """How far each labelled landmark lies from the detected one, in the same unit; NaN where it is not labelled."""
    points, scale = labels.landmarks[rows, :count], np.sqrt(np.maximum(box_areas(sightings.boxes[which]), 1))
    far = np.linalg.norm(points[..., :2] - sightings.landmarks[which, :count], axis=-1) / scale[:, None]
    return np.where(points[..., 2] > 0, far, np.nan)


def _worst(evidence: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n"]:
    return np.sort(evidence, axis=1)[:, -_WORST:].sum(axis=1)


SIDES, MARGINS = 3, 7
"""Columns: the evidence that a box speaks against the detection's, and against its own landmarks."""


def features_of(labels: Labels, sightings: Sightings, norms: Norms) -> Float[np.ndarray, "n f"]:
    """The features of labels of a split, as they are or with faults planted into them."""
    pairs = pair_up(labels, sightings)
    own, own_at = pairs.best(pairs.same, pairs.strength)
    relative = pairs.strength / norms.thresholds[sightings.categories[pairs.sighting]]
    other, _ = pairs.best(~pairs.same & (pairs.overlap >= 0.3), relative)
    anything, at = pairs.best(np.ones(len(pairs.same), bool), pairs.strength)
    sides, size = np.full(len(labels), _UNSEEN), np.zeros(len(labels))
    found = np.flatnonzero(at >= 0)
    deviations = norms.sides.deviations(_sides(labels, found, sightings, at[found]))
    sides[found] = log_evidence(deviations).sum(axis=1) / 2
    size[found] = np.log(
        np.maximum(box_areas(labels.boxes[found]), 1) / np.maximum(box_areas(sightings.boxes[at[found]]), 1)
    )
    points, shape, margins, turned = _landmark_features(labels, sightings, norms, own_at)
    area = np.log(np.maximum(box_areas(labels.boxes), 1) / np.prod(labels.sizes, axis=1)) / 2
    return np.column_stack(
        [
            np.log(other + FAINT) - np.log(own / norms.thresholds[labels.category] + FAINT),
            np.log(own + FAINT),
            np.log(anything + FAINT),
            sides,
            size,
            points,
            shape,
            margins,
            area,
            turned,
            np.log(pairs.best(pairs.same, pairs.overlap)[0] + FAINT),
        ]
    )


def _landmark_features(
    labels: Labels, sightings: Sightings, norms: Norms, own_at: np.ndarray
) -> tuple[np.ndarray, ...]:
    points, shape, margins, turned = (np.zeros(len(labels)) for _ in range(4))
    for category in labels.vocabulary.categories:
        rows = np.flatnonzero(labels.category == category.index)
        if not category.landmarks or not len(rows):
            continue
        found = rows[own_at[rows] >= 0]
        far = _distances(labels, found, sightings, own_at[found], category.landmarks)
        evidence = log_evidence(norms.points[category.index].deviations(far))
        points[found] = _worst(evidence)
        own, labelled = labels.points(rows, category)
        typical = norms.shapes[category.index]
        given, other = (
            np.where(
                seen, log_evidence(np.abs(align(one, seen, typical).points - typical.points) / typical.spread), 0.0
            )
            for one, seen in ((own, labelled), (own[:, list(category.mirror)], labelled[:, list(category.mirror)]))
        )
        shape[rows] = np.nan_to_num(_worst(given))
        off, _ = box_margins(labels, rows, category, typical)
        margins[rows] = log_evidence(norms.margins[category.index].deviations(off)).sum(axis=1) / 2
        pairs = np.maximum((labelled & (np.arange(category.landmarks) != np.array(category.mirror))).sum(axis=1) / 2, 1)
        turned[rows] = np.nan_to_num((given - other).sum(axis=1)) / np.sqrt(pairs)
    return points, shape, margins, turned
