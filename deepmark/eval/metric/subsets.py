"""Which items the tables by subset are about.

Scale, occlusion, zoom and viewpoint belong to items, not to pictures. The rule for all of them (Matching.match): items
outside the subset are ignored the way COCO ignores by area, a result matched to an ignored item is ignored, and an
unmatched result counts against the pictures that hold an item of the subset.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool

from deepmark.schema import SOURCES, SUBSETS
from deepmark.types import ImageRecord

SCOPES: tuple[str, ...] = (
    *(f"{field}:{word}" for field, words in SUBSETS.items() for word in words.values()),
    *(f"source:{source}" for source in SOURCES),
)
"""The 14 subsets as reports name them: "scale:small" … "source:user"."""


def subset_items(records: Iterable[ImageRecord]) -> dict[str, Bool[np.ndarray, " n"]]:
    """Which items are in every scope of `SCOPES`, in the order of `Truth`; an item is in one scope of each field."""
    ordered = sorted(records, key=lambda record: record.id)
    words = [
        {f"source:{record.source}", *(f"{field}:{names[getattr(item, field)]}" for field, names in SUBSETS.items())}
        for record in ordered
        for item in record.garments
    ]
    return {scope: np.array([scope in own for own in words], bool) for scope in SCOPES}
