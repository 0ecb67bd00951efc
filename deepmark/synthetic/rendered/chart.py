"""Coordinates on a body: how far along trunk, arm or leg a vertex is, and where around it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepmark.shapes import Bool, Float, Int
from deepmark.synthetic.rendered.mesh import Mesh, Part, Vectors

_LIMBS = {
    Part.LEFT_ARM: (("upperarm01.R", "lowerarm01.R", "wrist.R"), (-0.75, 0.0, 0.66)),
    Part.RIGHT_ARM: (("upperarm01.L", "lowerarm01.L", "wrist.L"), (0.75, 0.0, 0.66)),
    Part.LEFT_LEG: (("upperleg01.R", "lowerleg01.R", "foot.R"), (-1.0, 0.0, 0.0)),
    Part.RIGHT_LEG: (("upperleg01.L", "lowerleg01.L", "foot.L"), (1.0, 0.0, 0.0)),
}
"""The joints of a limb, and roughly the direction to its outer side at rest."""

LEGS, ARMS = (Part.LEFT_LEG, Part.RIGHT_LEG), (Part.LEFT_ARM, Part.RIGHT_ARM)

_BLEND = 0.06
"""Metres around an elbow or a knee in which the two directions of the limb are mixed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """Cylindrical coordinates of vertices about the axis of their part, metres."""

    height: Float[np.ndarray, " n"]
    """Trunk and legs: z. Arms: minus the way from the shoulder."""

    out: Float[np.ndarray, " n"]
    """Limbs: away from the body. Trunk: x."""

    front: Float[np.ndarray, " n"]
    """Towards the side that the figure faces."""

    axis: Vectors
    outward: Vectors
    forward: Vectors
    """The foot of every vertex on its axis, and the directions of `out` and `front`."""

    @property
    def radius(self) -> Float[np.ndarray, " n"]:
        return np.hypot(self.out, self.front)

    @property
    def angle(self) -> Float[np.ndarray, " n"]:
        """0 in front, a quarter turn where `out` grows."""
        return np.arctan2(self.out, self.front)

    def at(self, radius: Float[np.ndarray, " n"]) -> Vectors:
        """The places of the vertices with these radii."""
        scale = (radius / np.maximum(self.radius, 1e-6))[:, None]
        return self.axis + scale * (self.out[:, None] * self.outward + self.front[:, None] * self.forward)


def chart_of(points: Vectors, part: Int[np.ndarray, " n"], joints: Mapping[str, Float[np.ndarray, "3"]]) -> Chart:
    """The coordinates of points at rest, each about the axis of its part."""
    height, axis = points[:, 2].copy(), points * (0, 0, 1)
    axis[:, 1] = joints["spine03"][1] - 0.03  # the spine is nearer to the back
    outward = np.tile(np.array([1.0, 0.0, 0.0]), (len(points), 1))
    forward = np.tile(np.array([0.0, -1.0, 0.0]), (len(points), 1))
    for limb, (names, rough) in _LIMBS.items():
        mine = part == limb
        if mine.any():
            first, second, third = (joints[name] for name in names)
            found = _about(points[mine], first, second, third, np.array(rough))
            axis[mine], outward[mine], forward[mine] = found[1:]
            if limb in ARMS:
                height[mine] = -found[0]
    offset = points - axis
    out, front = np.einsum("ni,ni->n", offset, outward), np.einsum("ni,ni->n", offset, forward)
    return Chart(height=height, out=out, front=front, axis=axis, outward=outward, forward=forward)


def _about(
    points: Vectors, first: np.ndarray, second: np.ndarray, third: np.ndarray, rough: np.ndarray
) -> tuple[np.ndarray, Vectors, Vectors, Vectors]:
    """Way along a limb of two straight pieces, foot on its axis, outward and forward."""
    upper, lower = _unit(second - first), _unit(third - second)
    length = float(np.linalg.norm(second - first))
    way1, way2 = (points - first) @ upper, (points - second) @ lower
    share = np.clip(((way1 + way2 + length) / 2 - length) / _BLEND + 0.5, 0, 1)
    way = (1 - share) * way1 + share * (length + way2)
    foot = (1 - share[:, None]) * (first + way1[:, None] * upper) + share[:, None] * (second + way2[:, None] * lower)
    direction = (1 - share[:, None]) * upper + share[:, None] * lower
    direction /= _lengths(direction)
    outward = rough - (direction @ rough)[:, None] * direction
    outward /= _lengths(outward)
    forward = np.cross(outward, direction)
    forward *= np.where(forward[:, 1:2] > 0, -1, 1)
    return way, foot, outward, forward


def _lengths(vectors: Vectors) -> Float[np.ndarray, "n 1"]:
    return np.sqrt(np.einsum("ni,ni->n", vectors, vectors))[:, None]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """A mesh, and its vertices with parts in the mean shape at rest: the coordinates in which garments are cut."""

    mesh: Mesh
    places: Vectors
    chart: Chart
    on_arm: Bool[np.ndarray, " n"]
    armhole: Bool[np.ndarray, " n"]
    """The vertices on an arm that the trunk shares."""


def surface_of(mesh: Mesh, model: Vectors, joints: Mapping[str, Float[np.ndarray, "3"]]) -> Surface:
    """The surface of a mesh; `model` are the vertices of the mean body."""
    places = mesh.with_parts(mesh.subdivision(model))
    chart = chart_of(places, mesh.part, joints)
    on_arm = np.isin(mesh.part, ARMS)
    armhole = on_arm & np.isin(mesh.own, mesh.own[mesh.part == Part.TRUNK])
    return Surface(mesh=mesh, places=places, chart=chart, on_arm=on_arm, armhole=armhole)
