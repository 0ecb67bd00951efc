"""Leaves out triangles that nothing is seen of, before their pixels are shaded.

With several samples a pixel, llvmpipe shades what is hidden, too, in any order of the triangles.
"""

import numpy as np

from deepmark.shapes import Bool, Int

_RINGS = 2
"""Of triangles around those that are seen at the middle of a pixel, as they may be seen at other samples. With two, 42%
of the triangles stay, and up to 57 pixels of an image are not as by all of them, most in one sample; with one, 220."""


def near_seen(triangles: Int[np.ndarray, "t 3"], seen: Bool[np.ndarray, " t"]) -> Int[np.ndarray, "k 3"]:
    """The triangles that are seen, those that share a corner with one of them, and those that share one with these."""
    corners = np.ascontiguousarray(triangles.T)
    for _ in range(_RINGS):
        near = np.zeros(int(corners.max(initial=-1)) + 1, bool)
        near[corners[:, seen]] = True
        seen = np.logical_or.reduce([near.take(one) for one in corners])
    return triangles[seen]
