"""How a garment is cut: its edges as planes and curves in the coordinates of the mean body at rest."""

from dataclasses import dataclass

import numpy as np

from deepmark.shapes import Float
from deepmark.synthetic.rendered.chart import Surface
from deepmark.synthetic.rendered.mesh import Vectors

_NO_EDGE = 1.0
"""Metres inside: what a place has that an edge does not concern."""

_BEYOND_NECK = 3.0
"""How steeply a neckline ends at the shoulder: metres upwards a metre."""

_RIDGE = -0.012
"""y of the ridge of the shoulders in the mean shape."""


TOP_EDGE, BOTTOM_EDGE, CUFF_EDGE, NECK_EDGE = range(4)
"""Columns of `Cut.inside`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Neckline:
    """An opening for the head; lengths are metres on the mean body."""

    half_width: float
    front: float
    back: float
    """Depths below the ridge of the shoulders."""

    power: float
    """1 is a V, 2 is round, 4 is nearly square."""

    shoulder: float
    """z of the ridge where the neckline crosses it."""

    def inside(self, points: Vectors) -> Float[np.ndarray, " n"]:
        """Metres below the neckline."""
        x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
        share = np.clip((y - _RIDGE) / 0.03 + 0.5, 0, 1)
        depth = self.front * (1 - share) + self.back * share
        inner = self.shoulder - depth * (1 - np.minimum(x / self.half_width, 1) ** self.power)
        return inner + _BEYOND_NECK * np.maximum(x - self.half_width, 0) - z


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """The edges of a piece of cloth; None where there is none."""

    top: float | None = None
    bottom: float | None = None
    """z."""

    cuff: float | None = None
    """Way from the shoulder along the arm."""

    neck: Neckline | None = None

    def inside(self, surface: Surface) -> Float[np.ndarray, "n 4"]:
        """Metres inside the edges: top, bottom, cuff, neckline. A place is cloth where all are positive."""
        points, on_arm = surface.places, surface.on_arm
        found = np.full((len(points), 4), _NO_EDGE, np.float32)
        if self.top is not None:
            found[:, 0] = np.where(on_arm, -_NO_EDGE, self.top - points[:, 2])
        if self.bottom is not None:
            found[:, 1] = np.where(on_arm, _NO_EDGE, points[:, 2] - self.bottom)
        if self.cuff is not None:
            found[:, 2] = np.where(on_arm, self.cuff + surface.chart.height, _NO_EDGE)
        if self.neck is not None:
            found[:, 3] = np.where(on_arm, _NO_EDGE, self.neck.inside(points))
        return found
