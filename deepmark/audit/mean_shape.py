"""How a category's landmarks usually lie to each other, and how far an item's are from that.

Points are complex numbers, x + iy. A layout is laid upon an item by shift, turn and size, never by mirroring; outliers
do not decide how it lies.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float

from deepmark.audit.outlier_score import habit
from deepmark.schema import Category

ENOUGH = 4
"""Labelled landmarks an item must have for its layout to say anything: two are always laid upon exactly."""

_ASSUMED, _LEAST = 0.1, 0.01
"""Spread of a landmark before any was seen, and at least; shares of the garment's longer side."""

_FLAT = 1e-9
"""Below it, landmarks lie in one point."""

_ROUNDS = 4
_REFITS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where a category's landmarks lie, in a frame where the longer side of its drawing is 1."""

    points: Complex[np.ndarray, " k"]
    spread: Float[np.ndarray, " k"]
    """How far from there each usually lies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Laid:
    """Items in the frame of their category's layout."""

    points: Complex[np.ndarray, "n k"]
    scale: Float[np.ndarray, " n"]
    """Pixels of the frame's unit; NaN where too little is labelled."""


def drawn_layout(category: Category) -> Layout:
    """The dataset's own drawing of the category, before any item was seen."""
    x, y = np.array(category.shape.points).T
    points = (x * category.shape.aspect + 1j * y) / max(category.shape.aspect, 1.0)
    return Layout(points=points, spread=np.full(category.landmarks, _ASSUMED))


def lay(points: Complex[np.ndarray, "n k"], labelled: Bool[np.ndarray, "n k"], layout: Layout) -> Laid:
    """Every item shifted, turned and scaled so that its labelled landmarks lie as near to the layout's as they can."""
    weights = labelled / layout.spread**2
    laid = _least_squares(points, weights, layout)
    for _ in range(_REFITS):
        off = np.abs(laid.points - layout.points) / layout.spread
        laid = _least_squares(points, weights / (1 + off**2), layout)
    return Laid(points=laid.points, scale=np.where(labelled.sum(axis=1) < ENOUGH, np.nan, laid.scale))


def _least_squares(points: Complex[np.ndarray, "n k"], weights: Float[np.ndarray, "n k"], layout: Layout) -> Laid:
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    here, there = (weights * points).sum(1, keepdims=True) / total, (weights @ layout.points)[:, None] / total
    moved, model = points - here, layout.points - there
    turn = (weights * moved * model.conj()).sum(1, keepdims=True)
    long, unit = (np.sqrt((weights * np.abs(each) ** 2).sum(1, keepdims=True)) for each in (moved, model))
    fits = (long > _FLAT) & (unit > _FLAT) & (np.abs(turn) > _FLAT)
    # The size is that of the points themselves: least squares would shrink a layout that does not fit.
    scale = np.divide(long, unit, where=fits, out=np.ones_like(long))
    turn = np.divide(turn, np.abs(turn), where=fits, out=np.ones_like(turn))
    return Laid(points=moved / (scale * turn) + there, scale=np.where(fits, scale, np.nan)[:, 0])


def fit_layout(category: Category, points: Complex[np.ndarray, "n k"], labelled: Bool[np.ndarray, "n k"]) -> Layout:
    """The usual layout of these items: medians, so that faulty ones do not count, begun from the drawing."""
    layout = drawn_layout(category)
    drawn = layout.points
    for _ in range(_ROUNDS):
        laid = lay(points, labelled, layout)
        known = labelled & ~np.isnan(laid.scale)[:, None]
        off = laid.points - drawn
        across, down = (
            habit(each, assumed=_ASSUMED, least=_LEAST).middle
            for each in (np.where(known, part, np.nan) for part in (off.real, off.imag))
        )
        places = drawn + across + 1j * down
        far = np.where(known, np.abs(laid.points - places), np.nan)
        layout = Layout(points=places, spread=_usual(far))
    return layout


def _usual(far: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    # both signs: the middle of a distance is not what is usual, its size is
    return habit(np.concatenate([far, -far]), assumed=_ASSUMED, least=_LEAST).above
