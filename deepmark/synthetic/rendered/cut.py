"""How a garment is cut: its edges as planes and curves in the coordinates of the mean body at rest."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from deepmark.shapes import Bool, Float
from deepmark.synthetic.rendered.chart import Surface
from deepmark.synthetic.rendered.mesh import Vectors

_NO_EDGE = 1.0
"""Metres inside: what a place has that an edge does not concern."""

_BEYOND_NECK = 3.0
"""How steeply a neckline ends at the shoulder: metres upwards a metre."""

_BESIDE_TRUNK = 0.4
"""Metres outwards a metre down that an armhole goes on below its lowest place, between trunk and arm at rest."""

RIDGE = -0.012
"""y of the ridge of the shoulders in the mean shape."""


class Edge(IntEnum):
    """Columns of `Cut.inside`."""

    TOP = 0
    BOTTOM = 1
    ARM = 2
    """A cuff or an armhole."""

    NECK = 3
    FRONT = 4
    """Of a front that is open."""

    COVER = 5
    """No edge of the garment: where it goes out of sight below what is worn over it."""


def _front_to_back(points: Vectors) -> Float[np.ndarray, " n"]:
    """0 in front of the ridge of the shoulders, 1 behind it."""
    return np.clip((points[:, 1] - RIDGE) / 0.03 + 0.5, 0, 1)


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
        x, z, share = np.abs(points[:, 0]), points[:, 2], _front_to_back(points)
        depth = self.front * (1 - share) + self.back * share
        inner = self.shoulder - depth * (1 - np.minimum(x / self.half_width, 1) ** self.power)
        return inner + _BEYOND_NECK * np.maximum(x - self.half_width, 0) - z


@dataclass(frozen=True, kw_only=True, slots=True)
class Armhole:
    """The opening for an arm in a garment without sleeves; lengths are metres on the mean body."""

    shoulder: tuple[float, float]
    """x and z where it crosses the ridge of the shoulders."""

    armpit: tuple[float, float]
    """x and z of its lowest place."""

    power: float
    """1 is straight between the two; more goes down further before it goes outwards."""

    front: float
    back: float
    """How far it is scooped towards the middle, before and behind the arm."""

    def inside(self, points: Vectors) -> Float[np.ndarray, " n"]:
        """Metres nearer to the middle than the armhole."""
        x, z, share = np.abs(points[:, 0]), points[:, 2], _front_to_back(points)
        (x0, z0), (x1, z1) = self.shoulder, self.armpit
        fallen = np.clip((z0 - z) / (z0 - z1), 0, 1)
        scoop = (self.front * (1 - share) + self.back * share) * 4 * fallen * (1 - fallen)
        return x0 + (x1 - x0) * fallen**self.power - scoop + _BESIDE_TRUNK * np.maximum(z1 - z, 0) - x


@dataclass(frozen=True, kw_only=True, slots=True)
class Rim:
    """The upper edge of a garment on straps; z in the mean shape, metres."""

    front: float
    """In the middle."""

    back: float
    joint: tuple[float, float]
    """x and z where the front meets a strap."""

    power: float
    """1 is a V, 2 is round, more is nearly square."""

    def inside(self, points: Vectors) -> Float[np.ndarray, " n"]:
        """Metres below the rim."""
        share, x = _front_to_back(points), np.abs(points[:, 0])
        front = self.front + (self.joint[1] - self.front) * np.minimum(x / self.joint[0], 1) ** self.power
        return front * (1 - share) + self.back * share - points[:, 2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Strap:
    """A band over each shoulder, from the front of a rim to its back."""

    middle: float
    """Its distance from the middle of the body."""

    half_width: float
    rim: Rim


@dataclass(frozen=True, kw_only=True, slots=True)
class Collar:
    """A band that lies along a neckline: a collar behind, lapels in front."""

    neck: Neckline
    width: float
    """Metres downwards."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """A front that is open: the distance of its two edges from the middle, at two heights."""

    top: tuple[float, float]
    bottom: tuple[float, float]
    """x and z; straight between them, upright beyond."""

    def inside(self, surface: Surface) -> Float[np.ndarray, " n"]:
        """Metres beside the opening."""
        x, z = np.abs(surface.places[:, 0]), surface.places[:, 2]
        gap = np.interp(z, (self.bottom[1], self.top[1]), (self.bottom[0], self.top[0]))
        return np.where(surface.on_arm | (surface.chart.front < 0), _NO_EDGE, x - gap)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """The edges of a piece of cloth; None where there is none."""

    top: float | Rim | None = None
    bottom: float | None = None
    """z."""

    cuff: float | None = None
    """Way from the shoulder along the arm."""

    armhole: Armhole | None = None
    neck: Neckline | None = None
    strap: Strap | None = None
    """The piece is the two straps."""

    collar: Collar | None = None
    """The piece is this collar."""

    opening: Opening | None = None

    def inside(self, surface: Surface) -> Float[np.ndarray, "n 6"]:
        """Metres inside the edges, see `Edge`. A place is cloth where all are positive."""
        points, on_arm = surface.places, surface.on_arm
        found = no_edges(len(points))
        if isinstance(self.top, Rim):
            found[:, Edge.TOP] = self.top.inside(points)
        elif self.top is not None:
            found[:, Edge.TOP] = np.where(on_arm, -_NO_EDGE, self.top - points[:, 2])
        if self.bottom is not None:
            found[:, Edge.BOTTOM] = np.where(on_arm, _NO_EDGE, points[:, 2] - self.bottom)
        if self.cuff is not None:
            found[:, Edge.ARM] = np.where(on_arm, self.cuff + surface.chart.height, _NO_EDGE)
        if self.armhole is not None:
            found[:, Edge.ARM] = self.armhole.inside(points)
        if self.neck is not None:
            found[:, Edge.NECK] = np.where(on_arm, _NO_EDGE, self.neck.inside(points))
        if self.strap is not None:
            x, strap = np.abs(points[:, 0]), self.strap
            found[:, Edge.NECK] = x - strap.middle + strap.half_width
            found[:, Edge.ARM] = strap.middle + strap.half_width - x
            found[:, Edge.BOTTOM] = -strap.rim.inside(points)
        if self.collar is not None:
            found[:, Edge.NECK] = self.collar.neck.inside(points)
            found[:, Edge.BOTTOM] = self.collar.width - found[:, Edge.NECK]
        if self.opening is not None:
            found[:, Edge.FRONT] = self.opening.inside(surface)
        return found


def is_cloth(inside: Float[np.ndarray, "n 6"]) -> Bool[np.ndarray, " n"]:
    """Where all are positive; six columns, one after the other, are faster than a reduction of short rows."""
    return np.asarray(np.logical_and.reduce([column > 0 for column in inside.T]))


def no_edges(count: int) -> Float[np.ndarray, "n 6"]:
    """What `Cut.inside` has for a surface that ends nowhere."""
    return np.full((count, len(Edge)), _NO_EDGE, np.float32)
