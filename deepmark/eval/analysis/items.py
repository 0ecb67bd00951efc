"""A table of every labelled garment with the detection that is assigned to it."""

from typing import TYPE_CHECKING

import numpy as np

from deepmark.eval.metric.columns import DetectionColumns, Truth
from deepmark.eval.metric.overlaps import box_overlap, landmark_overlap
from deepmark.schema import SOURCES, SUBSETS
from deepmark.shapes import Float64, Int64

if TYPE_CHECKING:
    import pandas as pd


def item_table(truth: Truth, results: DetectionColumns, found: Int64[np.ndarray, " n"]) -> "pd.DataFrame":
    """A row for each garment: image_id, item (its key), category, source, scale, occlusion, zoom_in, viewpoint, ….

    And of the detection assigned to it (`assign_detections`): found_category, score, detection (its place among the
    image's detections, best first), iou of the boxes, oks by all and oks_visible by the visible landmarks.

    oks needs two sets of landmarks of one category, so a garment found as another category has none. Without a
    detection, found_category and detection are null and the figures NaN; without labelled (visible) landmarks, oks
    (oks_visible) is NaN.
    """
    import pandas as pd

    names = np.array(list(truth.vocabulary.by_name), object)
    has = np.flatnonzero(found >= 0)
    rows = found[has]
    same = results.category[rows] == truth.category[has]

    def spread(values: np.ndarray, where: Int64[np.ndarray, " k"] = has) -> Float64[np.ndarray, " n"]:
        column = np.full(len(truth), np.nan)
        column[where] = values
        return column

    def oks(kind: str) -> Float64[np.ndarray, " n"]:
        asked = same & truth.labelled(kind)[has]
        item, row = has[asked], rows[asked]
        labels = truth.landmarks_of(item, kind)
        category, found_landmarks = truth.category[item], results.landmarks_of(row)
        return spread(landmark_overlap(truth.vocabulary, category, truth.boxes[item], labels, found_landmarks), item)

    found_category = np.full(len(truth), None, object)
    found_category[has] = names[results.category[rows]]
    first_of_image = np.searchsorted(results.image, results.image[rows], "left")
    fields = {}
    for place, (field, words) in enumerate(SUBSETS.items()):
        fields[field] = [words[value] for value in truth.subsets[:, place].tolist()]
    return pd.DataFrame(
        {
            "image_id": truth.images[truth.image],
            "item": truth.item,
            "category": names[truth.category],
            "source": np.array(list(SOURCES), object)[truth.source],
            **fields,
            "found_category": found_category,
            "score": spread(results.scores[rows]),
            "detection": pd.array(spread(rows - first_of_image), "Int64"),
            "iou": spread(box_overlap(truth.boxes[has], results.boxes[rows].astype(np.float64))),
            "oks": oks("landmark"),
            "oks_visible": oks("landmark_visible"),
        }
    )
