"""The closed pieces of cloth that a garment is painted from, and their smooth edges."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from deepmark.shapes import Float
from deepmark.synthetic.garment_shape import left_sleeve
from deepmark.vocabulary import DEEPFASHION2, Category

STEPS = 4
"""Points of a curve per landmark."""

_CORNER = 0.75
"""Cosine of the turn beyond which a contour has a corner instead of a curve: about 41 degrees."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """The landmarks around a piece of cloth; for a strap, its two ends."""

    kind: Literal["lining", "strap", "panel", "sleeve"]
    loop: tuple[int, ...]


def _without(loop: tuple[int, ...], landmarks: set[int]) -> tuple[int, ...]:
    return tuple(landmark for landmark in loop if landmark not in landmarks)


@cache
def pieces(category: int, *, from_behind: bool) -> tuple[Piece, ...]:
    """The pieces of a category, the farthest first.

    From behind, neckline and opening are hidden: there is one panel, up to the outer edge of the collar.
    """
    kind = DEEPFASHION2.categories[category]
    left = left_sleeve(kind)
    right = tuple(kind.mirror[landmark] for landmark in left)
    loose = {*left[1:-1], *right[1:-1]}
    back = _without(kind.shape.outline, loose)
    parts = [Piece(kind="strap", loop=strap) for strap in kind.shape.straps]
    if from_behind:
        parts.append(Piece(kind="panel", loop=back))
    else:
        if kind.shape.inner_lines:
            parts.insert(0, Piece(kind="lining", loop=back))
        parts += [Piece(kind="panel", loop=_without(panel, loose)) for panel in kind.shape.panels]
    parts += [Piece(kind="sleeve", loop=sleeve) for sleeve in (left, right) if sleeve]
    return tuple(parts)


@cache
def hidden_from_behind(category: int) -> tuple[int, ...]:
    """Landmarks of neckline and opening, which the back of the garment hides."""
    shape = DEEPFASHION2.categories[category].shape
    seen = {*shape.outline, *(landmark for strap in shape.straps for landmark in strap)}
    return tuple(landmark for landmark in range(len(shape.points)) if landmark not in seen)


@cache
def _smoothness(category: int, loop: tuple[int, ...], closed: bool) -> Float[np.ndarray, "n 1"]:
    """How smoothly the contour passes each landmark in the figure: 1 if straight, 0 at a corner."""
    shape = DEEPFASHION2.categories[category].shape
    points = np.array(shape.points)[list(loop)] * (shape.aspect, 1)
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    cosine = (before * after).sum(1) / (np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1))
    smooth = np.clip((cosine - _CORNER) / (1 - _CORNER), 0, 1)
    if not closed:
        smooth[[0, -1]] = 0
    return smooth[:, None]


def contour(
    category: Category,
    points: Float[np.ndarray, "k 2"],
    loop: tuple[int, ...],
    *,
    closed: bool = True,
) -> Float[np.ndarray, "n 2"]:
    """The smooth line through the landmarks of `loop`, with corners where the figure has them."""
    here = points[list(loop)]
    chord = np.roll(here, -1, axis=0) - here
    length = np.linalg.norm(chord, axis=1, keepdims=True)
    along = np.roll(here, -1, axis=0) - np.roll(here, 1, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    smooth = _smoothness(category.index, loop, closed)
    # Cubic Hermite spline, written as the chord plus the contributions of the tangents at both ends.
    leaving = (smooth * along * length - smooth * chord)[:, None]
    arriving = (np.roll(smooth * along, -1, axis=0) * length - np.roll(smooth, -1, axis=0) * chord)[:, None]
    share = (np.arange(STEPS) / STEPS)[None, :, None]
    curve = here[:, None] + share * chord[:, None] + share * (1 - share) * ((1 - share) * leaving - share * arriving)
    if closed:
        return curve.reshape(-1, 2)
    return np.concatenate([curve[:-1].reshape(-1, 2), here[-1:]])
