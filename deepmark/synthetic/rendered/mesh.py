"""Meshes of the body and of the cloth on it: subdivision, normals, and coordinates along trunk, arms and legs.

Everything that does not depend on the person is computed once. Coordinates are metres; z is up, the figure faces -y,
and x grows towards its left side.
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy.sparse import csr_array

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
    shares: csr_array
    """A row for each vertex, a column for each of the coarser mesh's up to the last that is used."""

    def __call__(self, values: Float[np.ndarray, "v c"]) -> Float[np.ndarray, "n c"]:
        mixed: np.ndarray = self.shares @ values[: self.shares.shape[1]]
        return mixed


def unchanged(quads: Quads) -> Subdivision:
    """The faces as they are, with the vertices that they use."""
    used, compact = np.unique(quads, return_inverse=True)
    shares = csr_array((np.ones(len(used), np.float32), (np.arange(len(used)), used)))
    return Subdivision(quads=compact.reshape(-1, 4), shares=shares)


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
    shares = [share / sum(row.values()) for row in rows for share in row.values()]
    row = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    members = used[[member for row in rows for member in row]]
    return Subdivision(quads=np.array(finer), shares=csr_array((np.array(shares, np.float32), (row, members))))


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Faces:
    """Triangles, and which vertices they join."""

    corners: Int[np.ndarray, "3 t"]
    around: csr_array
    """1 where a vertex, a row, is a corner of a triangle, a column."""

    beside: csr_array
    """The share of each vertex in the mean of the neighbours of another one, a row."""

    def normals(self, points: Vectors) -> Vectors:
        """The unit normal of every vertex: the mean of its triangles', by area."""
        columns = np.ascontiguousarray(points.T, np.float32)  # by axis: contiguous, so twice as fast
        a, b, c = (columns.take(corner, axis=1) for corner in self.corners)
        u, v = b - a, c - a
        total = np.stack([self.around @ (u[i] * v[j] - u[j] * v[i]) for i, j in ((1, 2), (2, 0), (0, 1))])
        return (total / np.maximum(np.sqrt((total**2).sum(axis=0)), 1e-12)).T

    def smoothed(self, values: Vectors, *, rounds: int) -> Vectors:
        """Values of neighbours mixed."""
        for _ in range(rounds):
            values = (values + self.beside @ values) / 2
        return values


def faces_of(triangles: Int[np.ndarray, "t 3"], vertices: int) -> Faces:
    """Triangles of this number of vertices."""
    corners = np.ascontiguousarray(triangles.T, np.intp)
    number = np.broadcast_to(np.arange(len(triangles)), corners.shape).reshape(-1)
    around = csr_array((np.ones(corners.size, np.float32), (corners.reshape(-1), number)), (vertices, len(triangles)))
    ends = corners.reshape(-1), corners[[1, 2, 0]].reshape(-1)
    both = np.concatenate(ends), np.concatenate(ends[::-1])
    share = 1 / np.bincount(both[0], minlength=vertices)[both[0]]
    return Faces(corners=corners, around=around, beside=csr_array((share, both), (vertices, vertices)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Mesh:
    """A surface that moves with the body. A vertex between two parts stands once for each, so that none is mixed."""

    subdivision: Subdivision
    """From the model's vertices to the surface's own, before any of them stands twice."""

    weights: csr_array
    """Of the bones, columns, for every vertex of the subdivision, rows."""

    own: Int[np.ndarray, " m"]
    """The vertex of the subdivision at each vertex with a part."""

    part: Int[np.ndarray, " m"]
    triangles: Int[np.ndarray, "t 3"]
    """Of vertices with a part."""

    corners: Int[np.ndarray, "3 t"]
    """The same, transposed, as indices."""

    faces: Faces
    """The same of vertices of the subdivision."""

    def with_parts(self, values: np.ndarray) -> np.ndarray:
        """Values of the subdivision's vertices, for the vertices with parts."""
        return values[self.own]

    def posed(self, rest: Vectors, transforms: Float[np.ndarray, "bones 4 4"]) -> Vectors:
        """The vertices of the subdivision after linear blend skinning."""
        rows = transforms[:, :3].reshape(len(transforms), 12)
        blended = (self.weights @ rows).reshape(-1, 3, 4)
        return np.einsum("nij,nj->ni", blended[:, :, :3], rest) + blended[:, :, 3]


def mesh_of(
    subdivision: Subdivision, weights: Float[np.ndarray, "v bones"], part_of_face: Int[np.ndarray, " q"]
) -> Mesh:
    """A mesh whose faces lie on these parts."""
    pairs = np.stack([subdivision.quads.reshape(-1), np.repeat(part_of_face, 4)], axis=1)
    unique, place = np.unique(pairs, axis=0, return_inverse=True)
    triangles = triangles_of(place.reshape(-1, 4))
    return Mesh(
        subdivision=subdivision,
        weights=csr_array(subdivision(weights)),
        own=unique[:, 0],
        part=unique[:, 1],
        triangles=triangles.astype(np.int32),
        corners=np.ascontiguousarray(triangles.T),
        faces=faces_of(triangles_of(subdivision.quads), subdivision.shares.shape[0]),
    )
