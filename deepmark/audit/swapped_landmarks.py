"""Landmarks that bear each other's numbers: all left ones exchanged with the right ones, or two with one another.

A landmark is held against the places where its category usually has it and, where the model has found the garment,
against the places where the model has it. Exchanging is judged by what it gains: nats of evidence, of both together.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Complex, Float, Int64

from deepmark.audit.assignment import Pairing
from deepmark.audit.label_issue import Suspicion
from deepmark.audit.labels import Labels
from deepmark.audit.mean_shape import Layout, fit_layout, lay
from deepmark.audit.outlier_score import habit, score, surprise
from deepmark.schema import CATEGORIES, Category

_CHUNK = 2048
"""Items whose landmarks are compared with each other's places at a time: some 25 MB."""

_ASSUMED, _LEAST = 0.1, 0.01
"""How far the model's landmarks lie off before any was seen, and at least; shares of the box's root area."""


def exchanged_landmarks(
    labels: Labels, pairing: Pairing, *, faulty_share: float, min_score: float
) -> Iterator[Suspicion]:
    """Items of which two landmarks, or all mirror partners, fit better under each other's numbers."""
    for category in CATEGORIES:
        rows = np.flatnonzero(labels.categories == category.index)
        points, labelled = labels.points(rows, category)
        layout = fit_layout(category, points, labelled)
        spread = _model_spread(pairing, rows, points, labelled)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            found = _of_model(pairing, rows[part], points[part], labelled[part], spread)
            judged = _judge(category, layout, points[part], labelled[part], found)
            yield from _suspicions(labels, category, rows[part], judged, faulty_share, min_score)


def _suspicions(
    labels: Labels,
    category: Category,
    rows: Int64[np.ndarray, " n"],
    judged: tuple[Float[np.ndarray, "n k k"], Float[np.ndarray, " n"]],
    faulty_share: float,
    min_score: float,
) -> Iterator[Suspicion]:
    gains, all_pairs = judged
    mirror = category.mirror
    best = gains.reshape(len(rows), -1).argmax(axis=1)
    single = gains.reshape(len(rows), -1).max(axis=1)
    scores = score(np.maximum(single, all_pairs), faulty_share=faulty_share)
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
        yield labels.suspicion(int(rows[i]), kind, float(scores[i]), reason, landmarks=numbers)


def _judge(
    category: Category,
    layout: Layout,
    points: Complex[np.ndarray, "n k"],
    labelled: Bool[np.ndarray, "n k"],
    found: Float[np.ndarray, "n k k"],
) -> tuple[Float[np.ndarray, "n k k"], Float[np.ndarray, " n"]]:
    """What exchanging gains: landmark i with j, and every landmark with its mirror partner."""
    mirror = list(category.mirror)
    laid, turned = lay(points, labelled, layout), lay(points[:, mirror], labelled[:, mirror], layout)
    usual = _costs(laid.points, layout.points, layout.spread)
    known = ~np.isnan(laid.scale)
    gains = np.where(known[:, None, None], _gains(np.nan_to_num(usual)), 0.0) + _gains(found)
    both = labelled[:, :, None] & labelled[:, None, :] & ~np.eye(category.landmarks, dtype=bool)
    given, other = (
        np.where(seen, surprise(np.abs(each.points - layout.points) / layout.spread), 0.0).sum(axis=1)
        for each, seen in ((laid, labelled), (turned, labelled[:, mirror]))
    )
    own = np.arange(category.landmarks)
    by_model = np.where(labelled, found[:, own, own] - found[:, own, mirror], 0.0).sum(axis=1)
    by_layout = np.where(known, np.nan_to_num(given - other), 0.0)
    pairs = (labelled & (own != mirror)).sum(axis=1) / 2
    # What a garment's landmarks say is far from independent: n of them are worth the root of n.
    return np.where(both, gains, -np.inf), (by_layout + by_model) / np.sqrt(np.maximum(pairs, 1))


def _costs(
    points: Complex[np.ndarray, "n k"], places: Complex[np.ndarray, "*m k"], spread: Float[np.ndarray, "*m k"]
) -> Float[np.ndarray, "n k k"]:
    """Evidence against landmark i (second axis) being number j (third axis)."""
    return surprise(np.abs(points[:, :, None] - places[..., None, :]) / spread[..., None, :])


def _gains(costs: Float[np.ndarray, "n k k"]) -> Float[np.ndarray, "n k k"]:
    own = np.diagonal(costs, axis1=1, axis2=2)
    return own[:, :, None] + own[:, None, :] - costs - costs.transpose(0, 2, 1)


def _model_spread(
    pairing: Pairing,
    rows: Int64[np.ndarray, " n"],
    points: Complex[np.ndarray, "n k"],
    labelled: Bool[np.ndarray, "n k"],
) -> Float[np.ndarray, " k"]:
    """How far from the labels the model usually puts each landmark, in root areas of its box."""
    places, scale = pairing.points(rows, points.shape[1])
    far = np.where(labelled, np.abs(points - places) / scale[:, None], np.nan)
    return habit(np.concatenate([far, -far]), assumed=_ASSUMED, least=_LEAST).above


def _of_model(
    pairing: Pairing,
    rows: Int64[np.ndarray, " n"],
    points: Complex[np.ndarray, "n k"],
    labelled: Bool[np.ndarray, "n k"],
    spread: Float[np.ndarray, " k"],
) -> Float[np.ndarray, "n k k"]:
    """Costs as the model sees them, weighed by its confidence; 0 where it has not found the item."""
    places, scale = pairing.points(rows, points.shape[1])
    there = ~np.isnan(scale)
    costs = np.zeros((len(rows), points.shape[1], points.shape[1]))
    costs[there] = _costs(points[there], places[there], spread * scale[there, None])
    return costs * pairing.confidence[rows][:, None, None]
