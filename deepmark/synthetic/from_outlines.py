"""Draws images of the garments of any vocabulary, from the drawings of its categories.

So a team can try its vocabulary before the first label. Garments lie on grounds, turned, sheared, mirrored and larger
or smaller, some before others. Those of DeepFashion2 are worn by figures; see `scene`.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator

from deepmark.errors import DeepmarkError
from deepmark.schema import SOURCES, SPLITS
from deepmark.shapes import Int, UInt8
from deepmark.synthetic.annotate import annotation_of
from deepmark.synthetic.background import paint_background, paint_surface
from deepmark.synthetic.camera import Box
from deepmark.synthetic.canvas import Canvas, Size
from deepmark.synthetic.garment_shape import Points
from deepmark.synthetic.scene import IMAGES_PER_PAIR, add_camera_effects
from deepmark.synthetic.texture import TILE, Texture, fold_light, pick_color, sample_texture, shaded, tile_texture
from deepmark.vocabulary import Category, Shape, Vocabulary

_COUNTS = (0.4, 0.3, 0.2, 0.1)
_CROPPED, _MIRRORED, _WITH_CARD, _UNLABELLED = 0.15, 0.5, 0.3, 0.005
"""Probabilities: of one to four garments; a garment reaches beyond its place; it is mirrored; a card lies before
one; an item has no labels."""

_TURN, _MOST_TURN, _SHEAR, _JITTER = 0.2, 0.45, 0.06, 0.006
"""Standard deviation and limit of the rotation, radians: left stays left; standard deviations of the shear, and of the
noise on every point, in heights of the drawing."""

_STRAP, _SEAM, _LINE = 0.03, 0.01, 0.018
"""Widths of a strap and of lines, in the larger side of the garment."""

_ATTEMPTS = 8

_MOST_PIECES = 50
"""Of one category: an image has at most 255 layers."""


def check_drawings(vocabulary: Vocabulary) -> None:
    """Raise DeepmarkError where a category has no drawing, or one of too many pieces."""
    for category in vocabulary.categories:
        pieces = len(category.shape.panels) + sum(len(strap) - 1 for strap in category.shape.straps)
        if pieces > _MOST_PIECES:
            raise DeepmarkError(
                f'synth: the drawing of "{category.name}" has {pieces} panels and pieces of straps, and may have '
                f"{_MOST_PIECES}. Give it fewer."
            )


def draw_shapes(vocabulary: Vocabulary, *, seed: int, split: str, index: int) -> tuple[UInt8[np.ndarray, "h w 3"], Any]:
    """RGB and annotation of image `index` (from 0) of a split; they depend on these values only.

    All categories are drawn equally often.

    Raises DeepmarkError where a category has no drawing, or one so small beside its landmarks that it cannot be seen.
    """
    stream = SPLITS.index(split)
    rng = np.random.default_rng([seed, stream, index])
    categories, source = vocabulary.categories, SOURCES[index % IMAGES_PER_PAIR]
    turn, place = divmod(index, len(categories))
    # The 1 keeps the random numbers of this order apart from those of an image.
    lead = int(np.random.default_rng([seed, stream, turn, 1]).permutation(len(categories))[place])
    for _ in range(_ATTEMPTS):
        others = rng.integers(len(categories), size=rng.choice(len(_COUNTS), p=_COUNTS)).tolist()
        size = int(rng.integers(540, 721)), int(rng.integers(400, 561))
        canvas, items = _paint(rng, [categories[i] for i in (*others, lead)], size, source)
        if any(item["category_id"] == lead + 1 for item in items):
            annotation = {"source": source, "pair_id": index // IMAGES_PER_PAIR + 1}
            annotation |= {f"item{number}": item for number, item in enumerate(items, 1)}
            return add_camera_effects(rng, canvas.image, source), annotation
    raise DeepmarkError(
        f'synth: nothing of a drawn "{categories[lead].name}" can be seen. Give the category an outline with more area.'
    )


def _paint(rng: Generator, garments: list[Category], size: Size, source: str) -> tuple[Canvas, list[dict[str, Any]]]:
    """The canvas, and the items of the garments that can be seen; the last one lies on top."""
    ground = paint_background(rng, size, source=source) if source == "shop" else paint_surface(rng, size)
    canvas = Canvas(ground)
    cells = _cells(rng, size, len(garments))
    placed = [_placed(rng, category, cell) for category, cell in zip(garments, cells, strict=True)]
    layers = [_paint_garment(rng, canvas, one, sample_texture(rng)) for one in placed]
    if rng.random() < _WITH_CARD:
        _paint_card(rng, canvas, placed[rng.integers(len(placed))].points)
    items = [
        annotation_of(
            canvas,
            one.category,
            cloth=_cloth(one),
            layers=own,
            landmarks=_landmarks(canvas, one.landmarks, own[1]),
            viewpoint=1,
            style=0,
            labelled=bool(rng.random() >= _UNLABELLED),
        )
        for one, own in zip(placed, layers, strict=True)
    ]
    return canvas, [item for item in items if item is not None]


def _cells(rng: Generator, size: Size, count: int) -> list[Box]:
    """A part of the image for each garment, in a random order."""
    height, width = size
    columns = 1 if count == 1 or (count == 2 and rng.random() < 0.5) else 2
    rows = -(-count // columns)
    cells = [
        (column * width / columns, row * height / rows, (column + 1) * width / columns, (row + 1) * height / rows)
        for row in range(rows)
        for column in range(columns)
    ]
    return [cells[i] for i in rng.permutation(len(cells))[:count]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Placed:
    """A garment at its place in the image, not yet painted."""

    category: Category
    points: Points
    """Those of its drawing in pixels, not limited to the image."""

    landmarks: Points
    """Left and right as in the image."""


def _placed(rng: Generator, category: Category, cell: Box) -> _Placed:
    shape = category.shape
    points = (np.array(shape.points) - 0.5) * (shape.aspect, 1) + rng.normal(0, _JITTER, (len(shape.points), 2))
    order = list(range(category.landmarks))
    if rng.random() < _MIRRORED:
        points, order = points * (-1, 1), list(category.mirror)
    angle = float(np.clip(rng.normal(0, _TURN), -_MOST_TURN, _MOST_TURN))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = points @ (turn @ np.array([[1, rng.normal(0, _SHEAR)], [0, 1]])).T
    low, high = points.min(axis=0), points.max(axis=0)
    corner, room = np.array(cell[:2]), np.array(cell[2:]) - cell[:2]
    zoom = float((room / np.maximum(high - low, 1e-6)).min())
    zoom *= rng.uniform(1.0, 1.3) if rng.random() < _CROPPED else rng.uniform(0.45, 0.95)
    free = np.maximum(room - zoom * (high - low), 0.1 * room)
    points = zoom * (points - (low + high) / 2) + corner + room / 2 + free * rng.uniform(-0.5, 0.5, 2)
    return _Placed(category=category, points=points, landmarks=points[order])


def _ribbons(shape: Shape, points: Points) -> list[Points]:
    """The four corners of each piece of its straps."""
    width = _STRAP * np.ptp(points, axis=0).max()
    found = []
    for strap in shape.straps:
        for a, b in pairwise(strap):
            way = points[b] - points[a]
            across = np.array([-way[1], way[0]]) * width / 2 / max(float(np.linalg.norm(way)), 1e-6)
            found.append(np.stack([points[a] + across, points[b] + across, points[b] - across, points[a] - across]))
    return found


def _cloth(placed: _Placed) -> list[Points]:
    """The polygons that the garment is painted from, without its lining."""
    shape = placed.category.shape
    return [*_ribbons(shape, placed.points), *(placed.points[list(panel)] for panel in shape.panels)]


def _paint_garment(rng: Generator, canvas: Canvas, placed: _Placed, texture: Texture) -> tuple[int, int]:
    """Paint a garment over everything so far; returns the first and the last layer of its cloth."""
    shape, points = placed.category.shape, placed.points
    unit = float(np.ptp(points, axis=0).max())
    if shape.panels != (shape.outline,):
        canvas.fill(points[list(shape.outline)], shaded(texture.seam, 1.25))
    first = canvas.count + 1
    height, width = canvas.size
    low = np.clip(np.floor(points.min(axis=0)) - 0.1 * unit, 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 0.1 * unit, low + 1, (width, height)).astype(int)
    size = int(high[1] - low[1]), int(high[0] - low[0])
    axes = np.eye(2) * 0.4 * unit / TILE
    cloth, corner = tile_texture(texture.tile, size, axes, fold_light(rng, size)), (int(low[0]), int(low[1]))
    for polygon in _cloth(placed):
        canvas.cover(polygon, cloth, corner)
        canvas.line(polygon, texture.seam, round(_SEAM * unit), closed=True)
    for line in shape.inner_lines:
        canvas.line(points[list(line)], texture.trim, round(_LINE * unit))
    return first, canvas.count


def _paint_card(rng: Generator, canvas: Canvas, points: Points) -> None:
    """Paint a card before a garment: no object that could be one of the vocabulary's."""
    low, high = points.min(axis=0), points.max(axis=0)
    center, half = rng.uniform(low, high), (high - low).min() * rng.uniform(0.08, 0.2, 2)
    canvas.fill(center + half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]), pick_color(rng))


def _landmarks(canvas: Canvas, points: Points, last: int) -> Int[np.ndarray, "k 3"]:
    """x, y and v: v is 0 outside the image or in its outermost row or column, 1 below a later layer, 2 otherwise."""
    height, width = canvas.size
    whole = np.rint(points).astype(int)
    inside = ((whole >= 1) & (whole <= (width - 1, height - 1))).all(axis=1)
    x, y = np.where(inside[:, None], whole, 0).T
    return np.stack([x, y, np.where(canvas.layers[y, x] > last, 1, 2) * inside], axis=1)
