"""Meshes of the body and of the cloth on it: subdivision, normals, and coordinates along trunk, arms and legs.

Everything that does not depend on the person is computed once. Coordinates are metres; z is up, the figure faces -y,
and x grows towards its left side.
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from deepmark.shapes import Float, Int

Vectors = Float[np.ndarray, "_ 3"]
Quads = Int[np.ndarray, "q 4"]


class Part(IntEnum):
    """The part of the body that a face lies on; sides are those of the image when the figure is seen from the front."""

    TRUNK = 0
    LEFT_ARM = 1
    RIGHT_ARM = 2
    LEFT_LEG = 3
    RIGHT_LEG = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Subdivision:
    """A finer mesh whose vertices are weighted means of those of a coarser one."""

    quads: Quads
    members: Int[np.ndarray, "n m"]
    shares: Float[np.ndarray, "n m"]

    def __call__(self, values: Float[np.ndarray, "v c"]) -> Float[np.ndarray, "n c"]:
        columns = np.ascontiguousarray(values.T)  # column by column is three times as fast as vectors
        return np.stack([np.einsum("nm,nm->n", self.shares, one.take(self.members)) for one in columns], axis=1)


def unchanged(quads: Quads) -> Subdivision:
    """The faces as they are, with the vertices that they use."""
    used, compact = np.unique(quads, return_inverse=True)
    return Subdivision(quads=compact.reshape(-1, 4), members=used[:, None], shares=np.ones((len(used), 1), np.float32))


def subdivided(quads: Quads) -> Subdivision:
    """Every quad as four, on a smooth surface; open edges keep their line.

    Source: Catmull and Clark, 1978.
    """
    used, compact = np.unique(quads, return_inverse=True)
    faces = compact.reshape(-1, 4)
    edges: dict[tuple[int, int], list[int]] = defaultdict(list)
    around: dict[int, list[int]] = defaultdict(list)
    for number, face in enumerate(faces.tolist()):
        for a, b in zip(face, face[1:] + face[:1], strict=True):
            edges[min(a, b), max(a, b)].append(number)
            around[a].append(number)
    rows: list[dict[int, float]] = [_vertex_row(v, faces, edges_of, around[v]) for v, edges_of in _by_vertex(edges)]
    of_edge = {}
    for (a, b), sides in edges.items():
        of_edge[a, b] = len(rows)
        ends = {a: 1.0, b: 1.0} if len(sides) < 2 else _sum({a: 1.0, b: 1.0}, *(_mean(faces[side]) for side in sides))
        rows.append(ends)
    first_face = len(rows)
    rows += [_mean(face) for face in faces]
    finer = []
    for number, face in enumerate(faces.tolist()):
        middles = [of_edge[min(a, b), max(a, b)] for a, b in zip(face, face[1:] + face[:1], strict=True)]
        finer += [[face[i], middles[i], first_face + number, middles[i - 1]] for i in range(4)]
    members = np.zeros((len(rows), max(map(len, rows))), np.int64)
    shares = np.zeros(members.shape, np.float32)
    for number, row in enumerate(rows):
        members[number, : len(row)] = used[list(row)]
        shares[number, : len(row)] = np.array(list(row.values())) / sum(row.values())
    return Subdivision(quads=np.array(finer), members=members, shares=shares)


_Edges = dict[tuple[int, int], list[int]]


def _by_vertex(edges: _Edges) -> list[tuple[int, _Edges]]:
    found: dict[int, _Edges] = defaultdict(dict)
    for pair, sides in edges.items():
        for end in pair:
            found[end][pair] = sides
    return sorted(found.items())


def _mean(face: Int[np.ndarray, "4"]) -> dict[int, float]:
    return {int(corner): 0.25 for corner in face}


def _sum(*rows: dict[int, float]) -> dict[int, float]:
    total: dict[int, float] = defaultdict(float)
    for row in rows:
        for member, share in row.items():
            total[member] += share
    return dict(total)


def _vertex_row(vertex: int, faces: Quads, edges: _Edges, around: list[int]) -> dict[int, float]:
    """The shares of the coarse vertices in the new place of one of them."""
    border = [pair for pair, sides in edges.items() if len(sides) == 1]
    if border:
        return _sum({vertex: 6.0}, *({a if b == vertex else b: 1.0} for a, b in border))
    n = len(edges)
    middles = ({a: 1.0 / n, b: 1.0 / n} for a, b in edges)
    means = ({corner: share / n for corner, share in _mean(faces[face]).items()} for face in around)
    return _sum({vertex: n - 3.0}, *middles, *means)


def triangles_of(quads: Quads) -> Int[np.ndarray, "t 3"]:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def normals_of(points: Vectors, triangles: Int[np.ndarray, "t 3"]) -> Vectors:
    """The unit normal of every vertex: the mean of its triangles', by area."""
    corners = np.ascontiguousarray(triangles.T)
    a, b, c = np.moveaxis(np.ascontiguousarray(points.T)[:, corners], 1, 0)  # by axis: contiguous, so twice as fast
    u, v = b - a, c - a
    across = (u[i] * v[j] - u[j] * v[i] for i, j in ((1, 2), (2, 0), (0, 1)))
    total = np.stack([np.bincount(corners.reshape(-1), np.tile(one, 3), minlength=len(points)) for one in across])
    return (total / np.maximum(np.sqrt((total**2).sum(axis=0)), 1e-12)).T.astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mesh:
    """A surface that moves with the body. A vertex between two parts stands once for each, so that none is mixed."""

    subdivision: Subdivision
    """From the model's vertices to the surface's own, before any of them stands twice."""

    weights: Float[np.ndarray, "n bones"]
    """Of the bones, for every vertex of the subdivision."""

    own: Int[np.ndarray, " m"]
    """The vertex of the subdivision at each vertex with a part."""

    part: Int[np.ndarray, " m"]
    triangles: Int[np.ndarray, "t 3"]
    """Of vertices with a part."""

    plain_triangles: Int[np.ndarray, "t 3"]
    """The same of vertices of the subdivision, for normals."""

    def with_parts(self, values: np.ndarray) -> np.ndarray:
        """Values of the subdivision's vertices, for the vertices with parts."""
        return values[self.own]

    def posed(self, rest: Vectors, transforms: Float[np.ndarray, "bones 4 4"]) -> Vectors:
        """The vertices of the subdivision after linear blend skinning."""
        blended = (self.weights @ transforms[:, :3].reshape(len(transforms), 12)).reshape(-1, 3, 4)
        return np.einsum("nij,nj->ni", blended[:, :, :3], rest) + blended[:, :, 3]


def mesh_of(
    subdivision: Subdivision, weights: Float[np.ndarray, "v bones"], part_of_face: Int[np.ndarray, " q"]
) -> Mesh:
    """A mesh whose faces lie on these parts."""
    own_weights = subdivision(weights)
    pairs = np.stack([subdivision.quads.reshape(-1), np.repeat(part_of_face, 4)], axis=1)
    unique, place = np.unique(pairs, axis=0, return_inverse=True)
    return Mesh(
        subdivision=subdivision,
        weights=np.ascontiguousarray(own_weights, np.float32),
        own=unique[:, 0],
        part=unique[:, 1],
        triangles=triangles_of(place.reshape(-1, 4)).astype(np.int32),
        plain_triangles=triangles_of(subdivision.quads).astype(np.int32),
    )
