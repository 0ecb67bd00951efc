"""Boxes that do not hold their landmarks as other boxes of the category do."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int64

from deepmark.audit.label_issue import Suspicion
from deepmark.audit.labels import Labels
from deepmark.audit.mean_shape import fit_layout, lay
from deepmark.audit.outlier_score import habit, score, surprise
from deepmark.schema import CATEGORIES, Category

SIDES = ("left", "upper", "right", "lower")

_ASSUMED, _LEAST = 0.1, 0.015
"""Spread of a margin before any was seen, and at least; shares of the garment's longer side."""

_BORDER = 2.0
"""Pixels from the picture's border within which a side says nothing: the garment may go on beyond it."""


def boxes_without_landmarks(labels: Labels, *, faulty_share: float, min_score: float) -> Iterator[Suspicion]:
    """Items whose box keeps unusual distances from the outermost landmarks.

    A margin is the distance from a side inwards to the first landmark, negative where landmarks lie outside, in units
    of the garment's size as its landmarks tell it: a wrong box does not decide its own scale.
    """
    for category in CATEGORIES:
        rows = np.flatnonzero(labels.categories == category.index)
        points, labelled = labels.points(rows, category)
        scale = lay(points, labelled, fit_layout(category, points, labelled)).scale
        margins = _margins(labels, rows, labelled) / scale[:, None]
        usual = habit(margins, assumed=_ASSUMED, least=_LEAST)
        deviations = usual.deviations(margins)
        # Two of the four sides follow from the others when a box is shifted: half of the sum.
        scores = score(surprise(deviations).sum(axis=1) / 2, faulty_share=faulty_share)
        for i in np.flatnonzero(scores >= min_score).tolist():
            off = (margins[i] - usual.middle) * scale[i]
            reason = _reason(labels, int(rows[i]), category, off, int(deviations[i].argmax()))
            yield labels.suspicion(int(rows[i]), "box without its landmarks", float(scores[i]), reason)


def _margins(
    labels: Labels, rows: Int64[np.ndarray, " n"], labelled: Bool[np.ndarray, "n k"]
) -> Float[np.ndarray, "n 4"]:
    """Left, upper, right, lower; NaN where a side is at the picture's border or nothing is labelled."""
    places, boxes = labels.landmarks[rows, : labelled.shape[1], :2], labels.boxes[rows]
    first = np.where(labelled[..., None], places, np.inf).min(axis=1, initial=np.inf)
    last = np.where(labelled[..., None], places, -np.inf).max(axis=1, initial=-np.inf)
    margins = np.concatenate([first - boxes[:, :2], boxes[:, 2:] - last], axis=1)
    cut = np.concatenate([boxes[:, :2] <= _BORDER, boxes[:, 2:] >= labels.sizes[rows] - _BORDER], axis=1)
    return np.where(cut | ~np.isfinite(margins), np.nan, margins)


def _reason(labels: Labels, row: int, category: Category, off: Float[np.ndarray, "4"], worst: int) -> str:
    own = labels.landmarks[row, : category.landmarks]
    own, box = own[own[:, 2] > 0, :2], labels.boxes[row]
    outside = np.maximum(np.maximum(box[:2] - own, own - box[2:]), 0).max(axis=1)
    reason = (
        f"the {SIDES[worst]} side is {abs(off[worst]):.0f} px further {'out' if off[worst] > 0 else 'in'} than usual"
    )
    if (outside > 0).any():
        reason += f"; {(outside > 0).sum()} of {len(own)} landmarks lie outside the box, up to {outside.max():.0f} px"
    return reason
