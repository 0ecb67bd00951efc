"""The subsets of the labelled garments that have tables of their own.

Scale, occlusion, zoom and viewpoint belong to garments, not to images. The rule for all of them (Matching.match): the
garments outside the subset are ignored the way COCO ignores by area, a detection matched to an ignored garment is
ignored, and an unmatched detection counts in the images that hold a garment of the subset.
"""

from collections.abc import Iterable

import numpy as np

from deepmark.schema import SOURCES, SUBSETS
from deepmark.shapes import Bool
from deepmark.types import ImageRecord

SCOPES: tuple[str, ...] = (
    *(f"{field}:{word}" for field, words in SUBSETS.items() for word in words.values()),
    *(f"source:{source}" for source in SOURCES),
)
"""The 14 subsets as reports name them: "scale:small" … "source:user"."""


def subset_items(records: Iterable[ImageRecord]) -> dict[str, Bool[np.ndarray, " n"]]:
    """Which garments are in each scope of `SCOPES`, in the order of `Truth`; each garment has one scope a field."""
    ordered = sorted(records, key=lambda record: record.id)
    words = [
        {f"source:{record.source}", *(f"{field}:{names[getattr(item, field)]}" for field, names in SUBSETS.items())}
        for record in ordered
        for item in record.garments
    ]
    return {scope: np.array([scope in own for own in words], bool) for scope in SCOPES}
