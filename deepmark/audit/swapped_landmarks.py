"""Landmarks with swapped numbers: all left ones with the right ones, or two with each other.

A landmark is compared with its place in the category's mean shape and, where the model detects the garment, with the
model's landmarks. A swap is scored by what it gains: nats of evidence, of both comparisons together.
"""

from collections.abc import Iterator

import numpy as np

from deepmark.audit.label_issue import LabelIssue
from deepmark.audit.label_matching import LabelMatches
from deepmark.audit.labels import Labels
from deepmark.audit.mean_shape import MeanShape, align, fit_mean_shape
from deepmark.audit.outlier_score import log_evidence, outlier_score, typical_range
from deepmark.shapes import Bool, Complex, Float, Int64
from deepmark.vocabulary import Category

_CHUNK = 2048
"""Items whose landmarks are compared with each other's places at a time: some 25 MB."""

_ASSUMED_SPREAD, _MIN_SPREAD = 0.1, 0.01
"""Spread of the model's landmarks before any was seen, and its lower bound; in roots of the box's area."""


def swapped_landmarks(
    labels: Labels, matches: LabelMatches, *, faulty_share: float, min_score: float
) -> Iterator[LabelIssue]:
    """Items of which two landmarks, or all mirror partners, fit better with their numbers swapped."""
    for category in labels.vocabulary.categories:
        if category.landmarks < 2:
            continue
        rows = np.flatnonzero(labels.category == category.index)
        points, labelled = labels.points(rows, category)
        shape = fit_mean_shape(category, points, labelled)
        spread = _model_spread(matches, rows, points, labelled)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            costs_by_model = _model_costs(matches, rows[part], points[part], labelled[part], spread)
            gains = _gains_of_swaps(category, shape, points[part], labelled[part], costs_by_model)
            yield from _issues(labels, category, rows[part], gains, faulty_share, min_score)


def _issues(
    labels: Labels,
    category: Category,
    rows: Int64[np.ndarray, " n"],
    gains: tuple[Float[np.ndarray, "n k k"], Float[np.ndarray, " n"]],
    faulty_share: float,
    min_score: float,
) -> Iterator[LabelIssue]:
    one_swap, all_pairs = gains
    mirror = category.mirror
    best = one_swap.reshape(len(rows), -1).argmax(axis=1)
    single = one_swap.reshape(len(rows), -1).max(axis=1)
    scores = outlier_score(np.maximum(single, all_pairs), faulty_share=faulty_share)
    for i in np.flatnonzero(scores >= min_score).tolist():
        if all_pairs[i] >= single[i]:
            kind, wrong = "mirrored landmarks", tuple(each for each, other in enumerate(mirror) if each != other)
            reason = "left and right landmarks lie where each other's usually do, all of them"
        else:
            wrong = a, b = divmod(int(best[i]), category.landmarks)
            kind = "mirrored landmarks" if mirror[a] == b else "swapped landmarks"
            names = " and ".join(f"{category.parts[each]} ({each + 1})" for each in wrong)
            reason = f"{names} fit better under each other's number"
        numbers = tuple(each + 1 for each in wrong)
        yield labels.issue(int(rows[i]), kind, float(scores[i]), reason, landmarks=numbers)


def _gains_of_swaps(
    category: Category,
    shape: MeanShape,
    points: Complex[np.ndarray, "n k"],
    labelled: Bool[np.ndarray, "n k"],
    costs_by_model: Float[np.ndarray, "n k k"],
) -> tuple[Float[np.ndarray, "n k k"], Float[np.ndarray, " n"]]:
    """The gain of swapping landmark i with j, and that of swapping every landmark with its mirror partner."""
    mirror = list(category.mirror)
    aligned, turned = align(points, labelled, shape), align(points[:, mirror], labelled[:, mirror], shape)
    usual = _costs(aligned.points, shape.points, shape.spread)
    known = ~np.isnan(aligned.scale)
    gains = np.where(known[:, None, None], _gains(np.nan_to_num(usual)), 0.0) + _gains(costs_by_model)
    both = labelled[:, :, None] & labelled[:, None, :] & ~np.eye(category.landmarks, dtype=bool)
    given, other = (
        np.where(seen, log_evidence(np.abs(each.points - shape.points) / shape.spread), 0.0).sum(axis=1)
        for each, seen in ((aligned, labelled), (turned, labelled[:, mirror]))
    )
    own = np.arange(category.landmarks)
    by_model = np.where(labelled, costs_by_model[:, own, own] - costs_by_model[:, own, mirror], 0.0).sum(axis=1)
    by_shape = np.where(known, np.nan_to_num(given - other), 0.0)
    pairs = (labelled & (own != mirror)).sum(axis=1) / 2
    # The landmarks of a garment are far from independent: n of them count as much as the root of n.
    all_pairs = np.where(pairs > 0, (by_shape + by_model) / np.sqrt(np.maximum(pairs, 1)), -np.inf)
    return np.where(both, gains, -np.inf), all_pairs


def _costs(
    points: Complex[np.ndarray, "n k"], places: Complex[np.ndarray, "*m k"], spread: Float[np.ndarray, "*m k"]
) -> Float[np.ndarray, "n k k"]:
    """Evidence against landmark i (second axis) being number j (third axis)."""
    return log_evidence(np.abs(points[:, :, None] - places[..., None, :]) / spread[..., None, :])


def _gains(costs: Float[np.ndarray, "n k k"]) -> Float[np.ndarray, "n k k"]:
    own = np.diagonal(costs, axis1=1, axis2=2)
    return own[:, :, None] + own[:, None, :] - costs - costs.transpose(0, 2, 1)


def _model_spread(
    matches: LabelMatches,
    rows: Int64[np.ndarray, " n"],
    points: Complex[np.ndarray, "n k"],
    labelled: Bool[np.ndarray, "n k"],
) -> Float[np.ndarray, " k"]:
    """Typical distance of each of the model's landmarks from the label, in roots of its box's area."""
    places, scale = matches.points(rows, points.shape[1])
    far = np.where(labelled, np.abs(points - places) / scale[:, None], np.nan)
    return typical_range(np.concatenate([far, -far]), assumed_spread=_ASSUMED_SPREAD, min_spread=_MIN_SPREAD).above


def _model_costs(
    matches: LabelMatches,
    rows: Int64[np.ndarray, " n"],
    points: Complex[np.ndarray, "n k"],
    labelled: Bool[np.ndarray, "n k"],
    spread: Float[np.ndarray, " k"],
) -> Float[np.ndarray, "n k k"]:
    """Costs by the model's landmarks, weighed by its confidence; 0 where the item has no detection."""
    places, scale = matches.points(rows, points.shape[1])
    there = ~np.isnan(scale)
    costs = np.zeros((len(rows), points.shape[1], points.shape[1]))
    costs[there] = _costs(points[there], places[there], spread * scale[there, None])
    return costs * matches.confidence[rows][:, None, None]
