"""The distances of detected landmarks from the labelled ones.

AP counts garments, weights landmarks by how well people agree on them, and mixes detection with localisation. These
figures are of each landmark by itself, and of detected garments only.
"""

from typing import TYPE_CHECKING

import numpy as np

from deepmark.eval.metric.columns import DetectionColumns, Truth
from deepmark.shapes import Float64, Int64
from deepmark.vocabulary import Category

if TYPE_CHECKING:
    import pandas as pd

SHARES: dict[str, float] = {"pck05": 0.05, "pck10": 0.1}
"""The distances that count as correct, as shares of the longer side of the garment's box."""


def landmark_table(truth: Truth, results: DetectionColumns, found: Int64[np.ndarray, " n"]) -> "pd.DataFrame":
    """Columns category, landmark (from 1), part, labelled, error_mean, error_median, pck05, pck10.

    A row for each landmark of the vocabulary: of the garments whose assigned detection has their category
    (`assign_detections`), visible and occluded landmarks. The error is the distance divided by the root of the area of
    the labelled box: the normalisation of OKS, without its sigmas. PCK, the percentage of correct keypoints, is the
    share nearer than .05 or .10 of the longer side of that box. NaN where nothing is labelled.
    Source: Articulated Human Detection with Flexible Mixtures of Parts, 2013, section 7 (PCK by the longer side of the
    box); Microsoft COCO's keypoint evaluation (distance by the root of the area).
    """
    import pandas as pd

    asked = np.flatnonzero(found >= 0)
    asked = asked[results.category[found[asked]] == truth.category[asked]]
    labels = truth.landmarks[asked]
    offsets = results.landmarks_of(found[asked]).astype(np.float64) - labels[:, :, :2]
    distances = np.where(labels[:, :, 2] > 0, np.hypot(offsets[:, :, 0], offsets[:, :, 1]), np.nan)
    sizes = truth.boxes[asked, 2:] - truth.boxes[asked, :2]
    parts = []
    for category in truth.vocabulary.categories:
        own = truth.category[asked] == category.index
        if category.landmarks:
            parts.append(_rows(category, distances[own], sizes[own]))
    return pd.concat(parts, ignore_index=True)


def _rows(
    category: Category, distances: Float64[np.ndarray, "n most_landmarks"], sizes: Float64[np.ndarray, "n 2"]
) -> "pd.DataFrame":
    import pandas as pd

    own = slice(0, category.landmarks)
    assert np.isnan(distances[:, category.landmarks :]).all()
    errors = pd.DataFrame(distances[:, own] / np.sqrt(sizes.prod(1, keepdims=True)))
    shares = pd.DataFrame(distances[:, own] / sizes.max(1, keepdims=True))
    labelled = errors.count()
    near = {name: (shares < share).sum() / labelled for name, share in SHARES.items()}  # 0 / 0 is NaN to pandas
    return pd.DataFrame(
        {
            "category": category.name,
            "landmark": range(1, category.landmarks + 1),
            "part": category.parts,
            "labelled": labelled,
            "error_mean": errors.mean(),
            "error_median": errors.median(),
            **near,
        }
    )
