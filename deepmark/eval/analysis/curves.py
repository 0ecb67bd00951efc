"""Precision by recall, and calibration: precision by score."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from deepmark.eval.metric.average_precision import RECALLS
from deepmark.eval.metric.matching import Matches
from deepmark.shapes import Float64
from deepmark.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

CURVES: dict[float, int] = {0.5: 0, 0.75: 5}
"""The overlaps that have curves, and their places in `OVERLAPS`."""

BINS = 10


def curve_table(
    vocabulary: Vocabulary, precisions: Mapping[str, Float64[np.ndarray, "10 101 categories"]]
) -> "pd.DataFrame":
    """Columns kind, category, overlap (.5, .75), recall, precision: 101 rows a curve, whose mean precision is its AP.

    At each recall the best precision of that recall or a higher one, as COCO reads it; 0 where it is not reached. A
    category without items has no curve.
    """
    import pandas as pd

    parts = [
        pd.DataFrame(
            {
                "kind": kind,
                "category": category.name,
                "overlap": overlap,
                "recall": RECALLS,
                "precision": table[place, :, category.index],
            }
        )
        for kind, table in precisions.items()
        for category in vocabulary.categories
        for overlap, place in CURVES.items()
        if table[place, 0, category.index] >= 0
    ]
    columns = ["kind", "category", "overlap", "recall", "precision"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def calibration_table(matches: Matches) -> "pd.DataFrame":
    """Columns score_low, score_high, detections, score_mean, right: ten rows, of which the last holds score 1 too.

    `right` is the share of the detections with such a score that the metric counts as right at IoU .5; where it is the
    mean score, a score says how likely a detection is right. NaN where there are none.
    Source: On Calibration of Modern Neural Networks, 2017, section 2 (reliability diagrams).
    """
    import pandas as pd

    counted = matches.counted_at(0)
    scores, right = matches.scores[counted].astype(np.float64), matches.found_at(0)[counted]
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    detections = np.bincount(bins, minlength=BINS)

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.bincount(bins, values, minlength=BINS)
        return np.divide(total, detections, out=np.full(BINS, np.nan), where=detections > 0)

    edges = np.arange(BINS + 1) / BINS
    return pd.DataFrame(
        {
            "score_low": edges[:-1],
            "score_high": edges[1:],
            "detections": detections,
            "score_mean": mean(scores),
            "right": mean(right),
        }
    )
