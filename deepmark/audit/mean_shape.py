"""The mean shape of a category's landmarks, and the alignment of an item's landmarks to it (Procrustes).

Points are complex numbers, x + iy. An item is aligned by translation, rotation and scale, never by mirroring; outliers
have little influence on the alignment.
"""

from dataclasses import dataclass

import numpy as np

from deepmark.audit.outlier_score import typical_range
from deepmark.shapes import Bool, Complex, Float
from deepmark.vocabulary import Category

MIN_LANDMARKS = 4
"""Labelled landmarks an item must have to be judged: two can always be aligned exactly."""

_ASSUMED_SPREAD, _MIN_SPREAD = 0.1, 0.01
"""Spread of a landmark before any label was seen, and its lower bound; shares of the garment's longer side."""

_FLAT = 1e-9
"""Below this size, all landmarks lie in one point."""

_ROUNDS = 4
"""Times that the mean shape is estimated again from the aligned items."""

_REFITS = 4
"""Times that an item is aligned again with less weight on its outliers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanShape:
    """The typical place of every landmark of a category, in a frame where the longer side of its drawing is 1."""

    points: Complex[np.ndarray, " k"]
    spread: Float[np.ndarray, " k"]
    """Typical distance of each landmark from its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aligned:
    """Items in the frame of their category's mean shape."""

    points: Complex[np.ndarray, "n k"]
    scale: Float[np.ndarray, " n"]
    """Pixels per unit of the frame; NaN where too few landmarks are labelled."""


def drawn_shape(category: Category) -> MeanShape:
    """The mean shape before any item was seen: the data set's own drawing of the category."""
    x, y = np.array(category.shape.points[: category.landmarks]).T
    points = (x * category.shape.aspect + 1j * y) / max(category.shape.aspect, 1.0)
    return MeanShape(points=points, spread=np.full(category.landmarks, _ASSUMED_SPREAD))


def shape_of_items(points: Complex[np.ndarray, "n k"], labelled: Bool[np.ndarray, "n k"]) -> MeanShape:
    """The mean shape to start from where a category has no drawing: medians of upright items, all made equally large.

    Of items with `MIN_LANDMARKS` labelled landmarks or more. A landmark that none of them has lies in the middle.
    """
    chosen = labelled.sum(axis=1) >= MIN_LANDMARKS
    points, labelled = points[chosen], labelled[chosen]
    axes = []
    for part in (points.real, points.imag):
        low = np.where(labelled, part, np.inf).min(axis=1, initial=np.inf, keepdims=True)
        high = np.where(labelled, part, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
        axes.append((part - (low + high) / 2, high - low))
    size = np.maximum(np.maximum(axes[0][1], axes[1][1]), _FLAT)
    across, down = (
        [
            float(np.median(column[known])) if known.any() else 0.0
            for column, known in zip(each.T, labelled.T, strict=True)
        ]
        for each in (off / size for off, _ in axes)
    )
    places = np.array(across) + 1j * np.array(down)
    return MeanShape(points=places, spread=np.full(len(places), _ASSUMED_SPREAD))


def align(points: Complex[np.ndarray, "n k"], labelled: Bool[np.ndarray, "n k"], shape: MeanShape) -> Aligned:
    """Move, rotate and scale every item so that its labelled landmarks lie as near as possible to the mean shape."""
    weights = labelled / shape.spread**2
    aligned = _least_squares(points, weights, shape)
    for _ in range(_REFITS):
        off = np.abs(aligned.points - shape.points) / shape.spread
        aligned = _least_squares(points, weights / (1 + off**2), shape)
    return Aligned(points=aligned.points, scale=np.where(labelled.sum(axis=1) < MIN_LANDMARKS, np.nan, aligned.scale))


def _least_squares(points: Complex[np.ndarray, "n k"], weights: Float[np.ndarray, "n k"], shape: MeanShape) -> Aligned:
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    here, there = (weights * points).sum(1, keepdims=True) / total, (weights @ shape.points)[:, None] / total
    moved, model = points - here, shape.points - there
    turn = (weights * moved * model.conj()).sum(1, keepdims=True)
    long, unit = (np.sqrt((weights * np.abs(each) ** 2).sum(1, keepdims=True)) for each in (moved, model))
    fits = (long > _FLAT) & (unit > _FLAT) & (np.abs(turn) > _FLAT)
    # The scale is the ratio of the sizes: least squares would shrink a shape that does not fit.
    scale = np.divide(long, unit, where=fits, out=np.ones_like(long))
    turn = np.divide(turn, np.abs(turn), where=fits, out=np.ones_like(turn))
    return Aligned(points=moved / (scale * turn) + there, scale=np.where(fits, scale, np.nan)[:, 0])


def fit_mean_shape(
    category: Category, points: Complex[np.ndarray, "n k"], labelled: Bool[np.ndarray, "n k"]
) -> MeanShape:
    """The mean shape of these items, starting from the drawing; medians, so that wrong labels have no influence."""
    shape = shape_of_items(points, labelled) if category.drawing is None else drawn_shape(category)
    drawn = shape.points
    for _ in range(_ROUNDS):
        aligned = align(points, labelled, shape)
        known = labelled & ~np.isnan(aligned.scale)[:, None]
        off = aligned.points - drawn
        across, down = (
            typical_range(each, assumed_spread=_ASSUMED_SPREAD, min_spread=_MIN_SPREAD).middle
            for each in (np.where(known, part, np.nan) for part in (off.real, off.imag))
        )
        places = drawn + across + 1j * down
        far = np.where(known, np.abs(aligned.points - places), np.nan)
        shape = MeanShape(points=places, spread=_typical_distance(far))
    return shape


def _typical_distance(far: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    # with both signs, so that the median is 0 and the spread is the typical distance
    return typical_range(np.concatenate([far, -far]), assumed_spread=_ASSUMED_SPREAD, min_spread=_MIN_SPREAD).above
