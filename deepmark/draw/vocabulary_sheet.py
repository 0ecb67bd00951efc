"""The shapes of a vocabulary's categories with their numbered landmarks, as one image."""

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from deepmark.draw.canvas import Canvas, Color, Image, text_size
from deepmark.draw.garments import color_of
from deepmark.draw.sheet import contact_sheet
from deepmark.errors import DeepmarkError
from deepmark.shapes import Float
from deepmark.vocabulary import Category, Vocabulary

_SIDE, _MARGIN = 420, 60
"""Pixels: of the longer side of a drawing, and around it."""

_COLUMNS = 4
_GREY: Color = (150, 155, 165)
_DOT, _LINE = 4.5, 2.4
"""Pixels: the radius of a landmark, and the width of a line."""


def vocabulary_sheet(vocabulary: Vocabulary) -> Image:
    """All categories that have a drawing, each with its name and its landmarks numbered from 1.

    Raises DeepmarkError where none has a drawing.
    """
    drawn = [_picture(category) for category in vocabulary.categories if category.drawing is not None]
    if not drawn:
        raise DeepmarkError(f"{vocabulary.name}: no category has a drawing. Give them an `outline` in vocabulary.yaml.")
    return contact_sheet(drawn, _COLUMNS)


def _picture(category: Category) -> Image:
    shape, color = category.shape, color_of(category)
    unit = _SIDE / max(shape.aspect, 1.0)
    points = np.array(shape.points).reshape(-1, 2) * (shape.aspect * unit, unit) + _MARGIN
    size = math.ceil(unit) + 2 * _MARGIN, math.ceil(shape.aspect * unit) + 2 * _MARGIN
    canvas, letters = Canvas(np.full((*size, 3), 255, np.uint8)), text_size(1.2)
    _draw_lines(canvas, points, [*map(_closed, shape.panels), *shape.inner_lines], _GREY)
    _draw_lines(canvas, points, [_closed(shape.outline), *shape.straps], color)
    own = points[: category.landmarks]
    colors = np.tile(np.array(color, np.uint8), (len(own), 1))
    canvas.dots(own, filled=np.ones(len(own), bool), radii=np.full(len(own), _DOT * canvas.scale), colors=colors)
    for number, (x, y) in enumerate((own * canvas.scale).tolist(), 1):
        canvas.text(str(number), round(x) + 7, round(y) - letters - 2, letters)
    canvas.text(f"{category.name} ({category.landmarks})", 10, 8, round(1.3 * letters))
    return canvas.pixels


def _closed(line: tuple[int, ...]) -> tuple[int, ...]:
    return (*line, line[0])


def _draw_lines(
    canvas: Canvas, points: Float[np.ndarray, "n 2"], lines: Iterable[tuple[int, ...]], color: Color
) -> None:
    ends = points[np.array([pair for line in lines for pair in pairwise(line)], np.int64).reshape(-1, 2)]
    widths, colors = np.full(len(ends), _LINE * canvas.scale), np.tile(np.array(color, np.uint8), (len(ends), 1))
    canvas.lines(ends, widths=widths, edges=np.zeros(len(ends)), colors=colors)
