"""Solid things of one material: boxes, bands and bent bars, as layers to be rendered."""

import numpy as np

from deepmark.shapes import Float, Int
from deepmark.synthetic.rendered.cut import no_edges
from deepmark.synthetic.rendered.mesh import Vectors, triangles_of
from deepmark.synthetic.rendered.renderer import Layer, Material
from deepmark.synthetic.rendered.shaders import SEEN_INSIDE

Solid = tuple[Vectors, Vectors, Int[np.ndarray, "_ 3"]]
"""Vertices, their normals, and triangles."""

_GIRTH = 0.1
"""Radius by which a fabric goes around a solid, metres."""

_SIDES = 8
"""Of the cross section of a bar."""


def box(
    middle: Float[np.ndarray, "3"],
    axes: Float[np.ndarray, "3 3"],
    size: tuple[float, float, float],
    taper: float = 1.0,
) -> Solid:
    """A box along `axes`, one a row; `taper` is the width and depth of its upper end, relative to the lower one's."""
    points, normals = [], []
    handed = 1 if np.linalg.det(axes) > 0 else -1
    around = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    for axis in range(3):
        for side in (-1, 1):
            outwards = side * handed * (-1 if axis == 1 else 1) > 0
            for a, b in around if outwards else around[::-1]:
                corner = np.insert(np.array([a, b], float), axis, side) * size / 2
                corner[:2] *= taper if corner[2] > 0 else 1.0
                points.append(middle + corner @ axes)
                normals.append(side * axes[axis])
    return np.array(points), np.array(normals), triangles_of(np.arange(24).reshape(6, 4))


def band(ways: list[tuple[np.ndarray, np.ndarray]], normal: Float[np.ndarray, "3"], width: float) -> Solid:
    """Flat strips from one point straight to another, this many metres wide."""
    points: list[np.ndarray] = []
    for start, end in ways:
        side = np.cross(normal, end - start)
        side *= width / 2 / np.linalg.norm(side)
        points += [start - side, start + side, end + side, end - side]
    quads = np.arange(len(points)).reshape(-1, 4)
    return np.array(points), np.tile(normal, (len(points), 1)), triangles_of(quads)


def bar(line: Float[np.ndarray, "n 3"], normal: Float[np.ndarray, "3"], radius: float) -> Solid:
    """A round bar along a line whose points lie in a plane with this normal."""
    way = np.gradient(line, axis=0)
    across = np.cross(way, normal)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    turn = np.arange(_SIDES) * 2 * np.pi / _SIDES
    out = np.cos(turn)[None, :, None] * across[:, None] + np.sin(turn)[None, :, None] * normal
    first = np.arange(len(line) - 1)[:, None] * _SIDES
    this, after = np.arange(_SIDES)[None], (np.arange(_SIDES)[None] + 1) % _SIDES
    quads = np.stack([first + this, first + _SIDES + this, first + _SIDES + after, first + after], axis=-1)
    points = line[:, None] + radius * out
    return points.reshape(-1, 3), out.reshape(-1, 3), triangles_of(quads.reshape(-1, 4))


def solid_layer(solid: Solid, material: Material, number: int) -> Layer:
    points, normals, triangles = solid
    angle = (points[:, 0] - points[:, 0].mean()) / _GIRTH
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    along = np.stack([points[:, 2], np.full(len(points), _GIRTH)], axis=1)
    inside = np.minimum(no_edges(len(points)), SEEN_INSIDE)  # a band is seen from both sides
    parts = [points, normals, inside, around, along, np.ones((len(points), 3))]
    return Layer(
        number=number, vertices=np.concatenate(parts, axis=1).astype(np.float32), triangles=triangles, material=material
    )
