"""The confusion matrix of categories."""

from typing import TYPE_CHECKING

import numpy as np

from deepmark.eval.metric.columns import DetectionColumns, Truth
from deepmark.schema import SHOWN_SCORE
from deepmark.shapes import Int64

if TYPE_CHECKING:
    import pandas as pd

BACKGROUND, MISSED = "background", "missed"
"""The truth of a detection without a garment, and the prediction for a garment without a detection."""


def confusion_table(
    truth: Truth, results: DetectionColumns, found: Int64[np.ndarray, " n"], *, min_score: float = SHOWN_SCORE
) -> "pd.DataFrame":
    """Columns truth, predicted, count: a row for each pair of categories, of background and of missed.

    `found` is the result of `assign_detections`; detections below `min_score` are left out. The counts of a truth sum
    up to its garments, those of a prediction to its detections. A second detection of a garment is assigned to none:
    its truth is background.
    """
    import pandas as pd

    size = len(truth.vocabulary.categories) + 1
    shown = results.scores.astype(np.float64) >= min_score
    has = found >= 0
    has[has] = shown[found[has]]
    of_item = np.full(len(truth), size - 1)
    of_item[has] = results.category[found[has]]
    alone = shown.copy()
    alone[found[has]] = False
    counts = np.bincount(truth.category * size + of_item, minlength=size * size)
    counts += np.bincount((size - 1) * size + results.category[alone], minlength=size * size)
    names = list(truth.vocabulary.by_name)
    frame = pd.DataFrame(
        {
            "truth": np.repeat([*names, BACKGROUND], size),
            "predicted": np.tile([*names, MISSED], size),
            "count": counts,
        }
    )
    return frame.iloc[:-1]  # what is not there and not found has no count
