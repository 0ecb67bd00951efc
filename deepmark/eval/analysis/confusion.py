"""What items are taken for: the confusion between categories."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from deepmark.eval.analysis.assignment import SHOWN_SCORE
from deepmark.eval.metric.columns import Results, Truth
from deepmark.schema import CATEGORIES

if TYPE_CHECKING:
    import pandas as pd

NO_ITEM, NO_DETECTION = "background", "missed"
"""The names of a detection that belongs to no item, and of an item that has no detection."""


def confusion_table(
    truth: Truth, results: Results, found: Int64[np.ndarray, " n"], *, min_score: float = SHOWN_SCORE
) -> "pd.DataFrame":
    """Columns truth, predicted, count: a row for each pair of 13 categories, of background and of missed.

    `found` is what `found_items` says; detections below `min_score` are left out. The counts of a truth sum up to its
    items, those of a prediction to its detections. A second detection of an item belongs to no item: it is predicted
    where the truth is background.
    """
    import pandas as pd

    size = len(CATEGORIES) + 1
    shown = results.scores >= min_score
    has = found >= 0
    has[has] = shown[found[has]]
    of_item = np.full(len(truth), size - 1)
    of_item[has] = results.category[found[has]]
    alone = shown.copy()
    alone[found[has]] = False
    counts = np.bincount(truth.category * size + of_item, minlength=size * size)
    counts += np.bincount((size - 1) * size + results.category[alone], minlength=size * size)
    names = [category.name for category in CATEGORIES]
    frame = pd.DataFrame(
        {
            "truth": np.repeat([*names, NO_ITEM], size),
            "predicted": np.tile([*names, NO_DETECTION], size),
            "count": counts,
        }
    )
    return frame.iloc[:-1]  # what is not there and not found has no count
