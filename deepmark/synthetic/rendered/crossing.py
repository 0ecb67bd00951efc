"""Finds places on cloth: where the lines on which two fields are zero cross."""

import numpy as np

from deepmark.shapes import Bool, Float, Int
from deepmark.synthetic.rendered.garment import Piece

Spot = tuple[Piece, Int[np.ndarray, "3"], Float[np.ndarray, "3"]]
"""The piece that holds a place, the vertices of its triangle, and their shares."""


def place_of(spot: Spot) -> Float[np.ndarray, "3"]:
    """Where a spot is in the mean shape."""
    piece, corners, shares = spot
    return shares @ piece.surface.places[corners]


def at_vertex(piece: Piece, vertex: int) -> Spot:
    return piece, np.array([vertex] * 3), np.array([1.0, 0.0, 0.0])


def crossing(
    piece: Piece,
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    *,
    prefer: Float[np.ndarray, " n"],
    allowed: Bool[np.ndarray, " n"] | None = None,
) -> Spot:
    """Where both fields are zero; of several places the one where `prefer` is largest."""
    mesh = piece.surface.mesh
    one, two, three = (first > 0).take(mesh.corners)
    triangles = mesh.triangles[(one != two) | (two != three)]
    if allowed is not None:
        triangles = triangles[allowed[triangles].all(axis=1)]
    b = second[triangles].astype(float)
    both = (b.min(axis=1) <= 0) & (b.max(axis=1) >= 0)
    triangles, b = triangles[both], b[both]
    a = first[triangles].astype(float)
    rows = np.stack([a, b, np.ones_like(a)], axis=1)
    good = np.abs(np.linalg.det(rows)) > 1e-14
    shares = np.linalg.solve(rows[good], np.array([0.0, 0.0, 1.0])[None, :, None])[..., 0]
    triangles = triangles[good]
    held = (shares > -1e-6).all(axis=1)
    assert held.any(), "an edge of a garment does not cross the line of its landmark"
    triangles, shares = triangles[held], shares[held]
    best = int(np.argmax((shares * prefer[triangles]).sum(axis=1)))
    return piece, triangles[best], shares[best]
