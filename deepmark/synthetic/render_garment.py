"""A garment in the picture: where its landmarks ended, and its cloth painted piece by piece."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int
from numpy.random import Generator

from deepmark.schema import CATEGORIES
from deepmark.synthetic.body import ellipse
from deepmark.synthetic.camera import Camera
from deepmark.synthetic.canvas import Canvas
from deepmark.synthetic.garment_shape import Point, Points
from deepmark.synthetic.outfit import BOTTOMS, Look
from deepmark.synthetic.outlines import Piece, contour, hidden_from_behind, pieces
from deepmark.synthetic.texture import TILE, folds, lay, shaded

STRAP = 0.03
"""Width of a sling's strap, shoulder widths: thin, for that is what tells a sling from a vest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A garment where the camera sees it, not yet painted."""

    look: Look
    camera: Camera
    from_behind: bool
    viewpoint: int
    """1..3, words in schema.SUBSETS."""

    landmarks: Points
    """Pixels, numbered by the picture; not rounded, and outside the picture too."""

    polygons: tuple[Points, ...]
    """The outlines of its pieces (pieces.py), pixels; outside the picture too."""

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return pieces(self.look.category, from_behind=self.from_behind)

    @property
    def concealed(self) -> tuple[int, ...]:
        """Landmarks that lie on the far side of the garment itself."""
        return hidden_from_behind(self.look.category) if self.from_behind else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Painted:
    """A garment in the canvas."""

    placed: Placed
    layers: Int[np.ndarray, " k"]
    """The layer on which each landmark lies; what has a higher number hides it."""

    cloth: tuple[int, int]
    """First and last of the layers of its cloth, lining aside."""


def place(look: Look, points: Points, camera: Camera, *, from_behind: bool, viewpoint: int) -> Placed:
    """The garment as the camera sees it; a camera that mirrors gets its landmarks renumbered."""
    category = CATEGORIES[look.category]
    seen = camera(points)
    if camera.mirrored:
        seen = seen[list(category.mirror)]
    polygons = []
    for piece in pieces(look.category, from_behind=from_behind):
        if piece.kind == "strap":
            polygons.append(_ribbon(seen[list(piece.loop)], STRAP * camera.scale))
        else:
            polygons.append(contour(category, seen, piece.loop))
    return Placed(
        look=look,
        camera=camera,
        from_behind=from_behind,
        viewpoint=viewpoint,
        landmarks=seen,
        polygons=tuple(polygons),
    )


def _ribbon(ends: Points, width: float) -> Points:
    along = ends[1] - ends[0]
    across = np.array([-along[1], along[0]]) * (width / 2 / max(float(np.linalg.norm(along)), 1e-6))
    return np.stack([ends[0] + across, ends[1] + across, ends[1] - across, ends[0] - across])


def paint_lining(canvas: Canvas, placed: Placed) -> int:
    """The inside of the garment's back, seen through neckline and opening; its layer, 0 where there is none."""
    for piece, polygon in zip(placed.pieces, placed.polygons, strict=True):
        if piece.kind == "lining":
            return canvas.fill(polygon, shaded(placed.look.fabric.seam, 1.25))
    return 0


def paint_cloth(rng: Generator, canvas: Canvas, placed: Placed, *, lining: int) -> Painted:
    """The garment's outside over everything painted so far; `lining` is the layer of its inside."""
    layers = np.full(len(placed.landmarks), lining)
    corner, cloth = _cloth(rng, canvas, placed)
    first = canvas.count + 1
    decorated = False
    for piece, polygon in zip(placed.pieces, placed.polygons, strict=True):
        if piece.kind == "lining":
            continue
        if piece.kind == "sleeve" and not decorated:
            _decorate(rng, canvas, placed)
            decorated = True
        layers[list(piece.loop)] = canvas.cover(polygon, cloth, corner)
        if piece.kind != "strap":
            canvas.line(polygon, placed.look.fabric.seam, round(0.012 * placed.camera.scale), closed=True)
    if not decorated:
        _decorate(rng, canvas, placed)
    return Painted(placed=placed, layers=layers, cloth=(first, canvas.count))


def _cloth(rng: Generator, canvas: Canvas, placed: Placed) -> tuple[tuple[int, int], np.ndarray]:
    """Cloth for the part of the garment inside the picture, and where its upper left corner lies."""
    height, width = canvas.size
    everything = np.concatenate(placed.polygons)
    low = np.clip(np.floor(everything.min(axis=0)) - 2, 0, (width, height)).astype(int)
    high = np.clip(np.ceil(everything.max(axis=0)) + 2, 0, (width, height)).astype(int)
    size = (max(int(high[1] - low[1]), 1), max(int(high[0] - low[0]), 1))
    cloth = lay(placed.look.fabric.tile, size, placed.camera.axes / TILE, folds(rng, size))
    corner = (min(int(low[0]), width - 1), min(int(low[1]), height - 1))
    return corner, cloth


def _decorate(rng: Generator, canvas: Canvas, placed: Placed) -> None:
    """Neckline, waistband, fly or buttons, and a drawing on the chest."""
    look, points, unit = placed.look, placed.landmarks, placed.camera.scale
    category, fabric = CATEGORIES[look.category], placed.look.fabric
    middle = [i for i in range(category.landmarks) if category.mirror[i] == i]
    if look.category in BOTTOMS:
        _waistband(canvas, placed)
    if placed.from_behind:
        return
    for line in category.shape.inner_lines:
        canvas.line(contour(category, points, line, closed=False), fabric.trim, round(0.03 * unit))
    if len(middle) < 2:
        return
    top, end = points[middle[-2]], points[middle[-1]]
    if look.category in BOTTOMS:
        canvas.line(np.stack([top, top + 0.8 * (end - top)]), fabric.seam, round(0.012 * unit))
    elif look.buttons:
        canvas.line(np.stack([top, end]), fabric.seam, round(0.01 * unit))
        for share in (0.1, 0.3, 0.5, 0.7, 0.9):
            cv2.circle(canvas.image, _pixel(top + share * (end - top)), max(round(0.02 * unit), 2), fabric.trim, -1)
    if look.print_size:
        _chest_print(canvas, placed, top + 0.3 * (end - top))


def _waistband(canvas: Canvas, placed: Placed) -> None:
    category, points = CATEGORIES[placed.look.category], placed.landmarks
    left, middle, right, knee = 0, 1, 2, category.shape.outline[1]
    depth = 0.07 * placed.camera.axes[:, 1]
    share = np.linalg.norm(depth) / max(float(np.linalg.norm(points[knee] - points[left])), 1e-6)
    ends = [points[a] + share * (points[b] - points[a]) for a, b in ((left, knee), (right, category.mirror[knee]))]
    band = np.stack([ends[0], points[middle] + depth, ends[1]])
    canvas.line(band, placed.look.fabric.seam, round(0.014 * placed.camera.scale))


def _chest_print(canvas: Canvas, placed: Placed, center: Point) -> None:
    axes = placed.camera.axes * placed.look.print_size
    ring = ellipse(np.zeros(2), (1.0, 1.0))
    star = ring * np.where(np.arange(len(ring)) % 4 < 2, 1.0, 0.55)[:, None]
    shape = center + (ring if placed.look.buttons else star) @ axes.T
    cv2.fillPoly(canvas.image, [np.rint(shape).astype(np.int32)], placed.look.fabric.trim, cv2.LINE_AA)


def _pixel(point: Point) -> tuple[int, int]:
    x, y = np.clip(point, -10000, 10000).astype(int)
    return int(x), int(y)
