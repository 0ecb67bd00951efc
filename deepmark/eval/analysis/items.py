"""A table of every labelled garment with the detection that is assigned to it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from deepmark.eval.metric.columns import DetectionColumns, Truth
from deepmark.eval.metric.overlaps import box_overlap, landmark_overlap
from deepmark.schema import CATEGORIES, SUBSETS
from deepmark.shapes import Float64, Int64
from deepmark.types import ImageRecord

if TYPE_CHECKING:
    import pandas as pd


def item_table(
    records: Iterable[ImageRecord], truth: Truth, results: DetectionColumns, found: Int64[np.ndarray, " n"]
) -> "pd.DataFrame":
    """A row for each garment: image_id, item (its key), category, source, scale, occlusion, zoom_in, viewpoint, ….

    And of the detection assigned to it (`assign_detections`): found_category, score, detection (its place among the
    image's detections, best first), iou of the boxes, oks by all and oks_visible by the visible landmarks.

    oks needs two sets of landmarks of one category, so a garment found as another category has none. Without a
    detection, found_category and detection are null and the figures NaN; without labelled (visible) landmarks, oks
    (oks_visible) is NaN.
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
    first_of_image = np.searchsorted(results.image, results.image[rows], "left")
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
            "detection": pd.array(spread(rows - first_of_image), "Int64"),
            "iou": spread(box_overlap(truth.boxes[has], results.boxes[rows])),
            "oks": oks(truth),
            "oks_visible": oks(truth.visible_only()),
        }
    )
