"""What tests of exported files share."""

import numpy as np

EXPORTED_SIZE = (64, 96)
"""Height and width of the canvases of the fixture `exported`."""


def canvases(count: int, size: tuple[int, int] = EXPORTED_SIZE) -> np.ndarray:
    """So many random RGB canvases, the same in every test."""
    return np.random.default_rng(count).integers(0, 256, (count, *size, 3), np.uint8)
