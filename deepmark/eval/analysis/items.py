"""Every labelled item, and what was found of it: what galleries choose from and what suspicions start with."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from deepmark.eval.metric.columns import Results, Truth
from deepmark.eval.metric.overlaps import box_overlap, landmark_overlap
from deepmark.schema import CATEGORIES, SUBSETS
from deepmark.types import ImageRecord

if TYPE_CHECKING:
    import pandas as pd


def item_table(
    records: Iterable[ImageRecord], truth: Truth, results: Results, found: Int64[np.ndarray, " n"]
) -> "pd.DataFrame":
    """A row an item: image_id, item (its key), category, source, scale, occlusion, zoom_in, viewpoint, and what it has.

    What it has is the detection that belongs to it (`found_items`): found_category, score, detection (its place among
    the picture's detections, best first), iou of the boxes, oks by all and oks_visible by the visible landmarks.

    A gallery of the best, the usual and the worst sorts by oks or iou, and can draw the very detection. An item found
    as something else has no oks, because landmarks of two categories are not of the same places. An audit asks what the
    network said first of the item, so a strong detection of another category is not hidden by a weak one of its own.
    Without a detection, found_category and detection are null and the figures NaN; without labelled (visible)
    landmarks, oks (oks_visible) is NaN.
    """
    import pandas as pd

    ordered = sorted(records, key=lambda record: record.id)
    garments = [(record, garment) for record in ordered for garment in record.garments]
    names = np.array([category.name for category in CATEGORIES], object)
    has = np.flatnonzero(found >= 0)
    rows = found[has]
    same = results.category[rows] == truth.category[has]

    def spread(values: np.ndarray, where: Int64[np.ndarray, " k"] = has) -> Float64[np.ndarray, " n"]:
        column = np.full(len(truth), np.nan)
        column[where] = values
        return column

    def oks(of: Truth) -> Float64[np.ndarray, " n"]:
        asked = same & of.labelled[has].any(1)
        item, row = has[asked], rows[asked]
        overlap = landmark_overlap(of.category[item], of.boxes[item], of.landmarks[item], results.landmarks[row])
        return spread(overlap, item)

    found_category = np.full(len(truth), None, object)
    found_category[has] = names[results.category[rows]]
    first_of_picture = np.searchsorted(results.image, results.image[rows], "left")
    fields = {field: [words[getattr(garment, field)] for _, garment in garments] for field, words in SUBSETS.items()}
    return pd.DataFrame(
        {
            "image_id": truth.images[truth.image],
            "item": [garment.item for _, garment in garments],
            "category": names[truth.category],
            "source": [record.source for record, _ in garments],
            **fields,
            "found_category": found_category,
            "score": spread(results.scores[rows]),
            "detection": pd.array(spread(rows - first_of_picture), "Int64"),
            "iou": spread(box_overlap(truth.boxes[has], results.boxes[rows])),
            "oks": oks(truth),
            "oks_visible": oks(truth.visible_only()),
        }
    )
