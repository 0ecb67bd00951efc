"""Which boxes belong together."""

import numpy as np

from deepmark.schema import SAME_GARMENT_IOU
from deepmark.shapes import Float


def matched(overlaps: Float[np.ndarray, "n m"], least: float = SAME_GARMENT_IOU) -> dict[int, int]:
    """Row -> column of the pairs that overlap by `least` or more, the largest overlaps first, one to one."""
    pairs: dict[int, int] = {}
    for row, column in np.argwhere(overlaps >= least)[np.argsort(-overlaps[overlaps >= least], kind="stable")].tolist():
        if row not in pairs and column not in pairs.values():
            pairs[row] = column
    return pairs
