"""Projects a garment into the image and paints it piece by piece."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from deepmark.shapes import Int
from deepmark.synthetic.body import ellipse
from deepmark.synthetic.camera import Camera
from deepmark.synthetic.canvas import Canvas
from deepmark.synthetic.garment_shape import Point, Points
from deepmark.synthetic.outfit import BOTTOMS, GarmentDesign
from deepmark.synthetic.outlines import Piece, contour, hidden_from_behind, pieces
from deepmark.synthetic.texture import TILE, fold_light, shaded, tile_texture
from deepmark.vocabulary import DEEPFASHION2

STRAP = 0.03
"""Width of a sling's strap, shoulder widths: thin, because that distinguishes a sling from a vest."""


_WAISTBAND = ("left waistband", "waistband middle", "right waistband")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedGarment:
    """A garment as the camera sees it, not yet painted."""

    design: GarmentDesign
    camera: Camera
    from_behind: bool
    viewpoint: int
    """1..3, words in schema.SUBSETS."""

    landmarks: Points
    """Pixels, left and right as in the image; not rounded, and not limited to the image."""

    polygons: tuple[Points, ...]
    """The outlines of its pieces (see outlines.py), pixels; not limited to the image."""

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return pieces(self.design.category, from_behind=self.from_behind)

    @property
    def concealed(self) -> tuple[int, ...]:
        """Landmarks on the far side of the garment, which the garment itself hides."""
        return hidden_from_behind(self.design.category) if self.from_behind else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PaintedGarment:
    """A garment on the canvas."""

    placed: PlacedGarment
    layers: Int[np.ndarray, " k"]
    """The layer of each landmark; layers with higher numbers hide it."""

    cloth: tuple[int, int]
    """First and last layer of its cloth, the lining excluded."""


def place_garment(
    design: GarmentDesign, points: Points, camera: Camera, *, from_behind: bool, viewpoint: int
) -> PlacedGarment:
    """The garment as the camera sees it; landmarks are renumbered if the camera mirrors."""
    category = DEEPFASHION2.categories[design.category]
    seen = camera(points)
    if camera.mirrored:
        seen = seen[list(category.mirror)]
    polygons = []
    for piece in pieces(design.category, from_behind=from_behind):
        if piece.kind == "strap":
            polygons.append(_ribbon(seen[list(piece.loop)], STRAP * camera.scale))
        else:
            polygons.append(contour(category, seen, piece.loop))
    return PlacedGarment(
        design=design,
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


def paint_lining(canvas: Canvas, placed: PlacedGarment) -> int:
    """Paints the inside of the back, seen through neckline and opening; returns its layer, 0 if there is none."""
    for piece, polygon in zip(placed.pieces, placed.polygons, strict=True):
        if piece.kind == "lining":
            return canvas.fill(polygon, shaded(placed.design.texture.seam, 1.25))
    return 0


def paint_cloth(rng: Generator, canvas: Canvas, placed: PlacedGarment, *, lining: int) -> PaintedGarment:
    """Paints the outside of the garment over everything so far; `lining` is the layer of its inside."""
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
            canvas.line(polygon, placed.design.texture.seam, round(0.012 * placed.camera.scale), closed=True)
    if not decorated:
        _decorate(rng, canvas, placed)
    return PaintedGarment(placed=placed, layers=layers, cloth=(first, canvas.count))


def _cloth(rng: Generator, canvas: Canvas, placed: PlacedGarment) -> tuple[tuple[int, int], np.ndarray]:
    """The upper left corner of the garment's visible part, and an image of cloth for that part."""
    height, width = canvas.size
    everything = np.concatenate(placed.polygons)
    low = np.clip(np.floor(everything.min(axis=0)) - 2, 0, (width, height)).astype(int)
    high = np.clip(np.ceil(everything.max(axis=0)) + 2, 0, (width, height)).astype(int)
    size = (max(int(high[1] - low[1]), 1), max(int(high[0] - low[0]), 1))
    cloth = tile_texture(placed.design.texture.tile, size, placed.camera.axes / TILE, fold_light(rng, size))
    corner = (min(int(low[0]), width - 1), min(int(low[1]), height - 1))
    return corner, cloth


def _decorate(rng: Generator, canvas: Canvas, placed: PlacedGarment) -> None:
    """Paints neckline, waistband, fly or buttons, and a print on the chest."""
    design, points, unit = placed.design, placed.landmarks, placed.camera.scale
    category, texture = DEEPFASHION2.categories[design.category], placed.design.texture
    middle = [i for i in range(category.landmarks) if category.mirror[i] == i]
    if design.category in BOTTOMS:
        _waistband(canvas, placed)
    if placed.from_behind:
        return
    for line in category.shape.inner_lines:
        canvas.line(contour(category, points, line, closed=False), texture.trim, round(0.03 * unit))
    if len(middle) < 2:
        return
    top, end = points[middle[-2]], points[middle[-1]]
    if design.category in BOTTOMS:
        canvas.line(np.stack([top, top + 0.8 * (end - top)]), texture.seam, round(0.012 * unit))
    elif design.buttons:
        canvas.line(np.stack([top, end]), texture.seam, round(0.01 * unit))
        for share in (0.1, 0.3, 0.5, 0.7, 0.9):
            cv2.circle(canvas.image, _pixel(top + share * (end - top)), max(round(0.02 * unit), 2), texture.trim, -1)
    if design.print_size:
        _chest_print(canvas, placed, top + 0.3 * (end - top))


def _waistband(canvas: Canvas, placed: PlacedGarment) -> None:
    category, points = DEEPFASHION2.categories[placed.design.category], placed.landmarks
    left, middle, right = (category.parts.index(part) for part in _WAISTBAND)
    side = category.shape.outline[1]
    depth = 0.07 * placed.camera.axes[:, 1]
    share = np.linalg.norm(depth) / max(float(np.linalg.norm(points[side] - points[left])), 1e-6)
    ends = [points[a] + share * (points[b] - points[a]) for a, b in ((left, side), (right, category.mirror[side]))]
    band = np.stack([ends[0], points[middle] + depth, ends[1]])
    canvas.line(band, placed.design.texture.seam, round(0.014 * placed.camera.scale))


def _chest_print(canvas: Canvas, placed: PlacedGarment, center: Point) -> None:
    axes = placed.camera.axes * placed.design.print_size
    ring = ellipse(np.zeros(2), (1.0, 1.0))
    star = ring * np.where(np.arange(len(ring)) % 4 < 2, 1.0, 0.55)[:, None]
    shape = center + (ring if placed.design.buttons else star) @ axes.T
    cv2.fillPoly(canvas.image, [np.rint(shape).astype(np.int32)], placed.design.texture.trim, cv2.LINE_AA)


def _pixel(point: Point) -> tuple[int, int]:
    x, y = np.clip(point, -10000, 10000).astype(int)
    return int(x), int(y)
