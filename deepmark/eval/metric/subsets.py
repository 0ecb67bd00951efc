"""The subsets of the labelled garments that have tables of their own.

Scale, occlusion, zoom and viewpoint belong to garments, not to images. The rule for all of them (Matching.match): the
garments outside the subset are ignored the way COCO ignores by area, a detection matched to an ignored garment is
ignored, and an unmatched detection counts in the images that hold a garment of the subset.
"""

import numpy as np

from deepmark.eval.metric.columns import Truth
from deepmark.schema import SOURCES, SUBSETS
from deepmark.shapes import Bool

SCOPES: tuple[str, ...] = (
    *(f"{field}:{word}" for field, words in SUBSETS.items() for word in words.values()),
    *(f"source:{source}" for source in SOURCES),
)
"""The 14 subsets as reports name them: "scale:small" … "source:user"."""


def subset_items(truth: Truth) -> dict[str, Bool[np.ndarray, " n"]]:
    """Which garments are in each scope of `SCOPES`; each garment has one scope a field."""
    items = {
        f"{field}:{word}": truth.subsets[:, place] == value
        for place, (field, words) in enumerate(SUBSETS.items())
        for value, word in words.items()
    }
    return items | {f"source:{source}": truth.source == place for place, source in enumerate(SOURCES)}
