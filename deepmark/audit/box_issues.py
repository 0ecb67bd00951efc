"""Boxes at unusual distances from their own landmarks."""

from collections.abc import Iterator

import numpy as np

from deepmark.audit.label_issue import LabelIssue
from deepmark.audit.labels import Labels
from deepmark.audit.mean_shape import MIN_LANDMARKS, MeanShape, align, fit_mean_shape
from deepmark.audit.outlier_score import log_evidence, outlier_score, typical_range
from deepmark.shapes import Bool, Float, Int64
from deepmark.vocabulary import Category

SIDES = ("left", "upper", "right", "lower")

MARGIN_SPREAD = {"assumed_spread": 0.1, "min_spread": 0.015}
"""Spread of a margin before any label was seen, and its lower bound; shares of the garment's longer side."""

_BORDER = 2.0
"""A side this near to the image's border, in pixels, is not judged: the garment may continue beyond the image."""


def boxes_without_landmarks(labels: Labels, *, faulty_share: float, min_score: float) -> Iterator[LabelIssue]:
    """Items whose box keeps unusual distances from the outermost landmarks.

    A margin is the distance from a side inwards to the first landmark, negative where landmarks lie outside. It is
    in units of the garment's size as its landmarks show it, so that a wrong box does not decide its own scale.
    Categories of fewer than `MIN_LANDMARKS` landmarks are not judged.
    """
    for category in labels.vocabulary.categories:
        if category.landmarks < MIN_LANDMARKS:
            continue
        rows = np.flatnonzero(labels.category == category.index)
        margins, scale = box_margins(labels, rows, category, fit_mean_shape(category, *labels.points(rows, category)))
        typical = typical_range(margins, **MARGIN_SPREAD)
        deviations = typical.deviations(margins)
        # A shifted box moves all four sides, but only two of them independently: half of the sum.
        scores = outlier_score(log_evidence(deviations).sum(axis=1) / 2, faulty_share=faulty_share)
        for i in np.flatnonzero(scores >= min_score).tolist():
            off = (margins[i] - typical.middle) * scale[i]
            reason = _reason(labels, int(rows[i]), category, off, int(deviations[i].argmax()))
            yield labels.issue(int(rows[i]), "box without its landmarks", float(scores[i]), reason)


def box_margins(
    labels: Labels, rows: Int64[np.ndarray, " n"], category: Category, shape: MeanShape
) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, " n"]]:
    """The margins of items of one category in units of their size, and that unit in pixels."""
    points, labelled = labels.points(rows, category)
    scale = align(points, labelled, shape).scale
    return _margins(labels, rows, labelled) / scale[:, None], scale


def _margins(
    labels: Labels, rows: Int64[np.ndarray, " n"], labelled: Bool[np.ndarray, "n k"]
) -> Float[np.ndarray, "n 4"]:
    """Left, upper, right, lower; NaN where a side is at the image's border or nothing is labelled."""
    points, boxes = labels.landmarks[rows, : labelled.shape[1], :2], labels.boxes[rows]
    first = np.where(labelled[..., None], points, np.inf).min(axis=1, initial=np.inf)
    last = np.where(labelled[..., None], points, -np.inf).max(axis=1, initial=-np.inf)
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
