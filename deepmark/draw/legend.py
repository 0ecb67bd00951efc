"""The legend below an image: the colours of the categories, and what filled and hollow dots mean."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from deepmark.draw.canvas import Canvas, Color, line_height, text_size, text_width

_GREY = 165


class Dots(NamedTuple):
    """What the two kinds of dots mean."""

    filled: str
    hollow: str


def add_legend(canvas: Canvas, categories: Sequence[tuple[str, Color]], dots: Dots) -> None:
    """Extend the canvas by as many rows as a sign and a text take for each category and for the dots."""
    size = text_size(canvas.pen)
    tall, gap = line_height(size), size // 2
    places, left, top = [], gap, canvas.height + gap
    for text in (*(name for name, _ in categories), *dots):
        width = tall + gap // 2 + text_width(text, size) + gap
        if left > gap and left + width > canvas.width:
            left, top = gap, top + tall + gap // 2
        places.append((left, top))
        left += width + gap
    canvas.extend(top + tall + gap - canvas.height)
    for (left, top), text in zip(places, (*(name for name, _ in categories), *dots), strict=True):
        canvas.text(text, left + tall + gap // 2, top, size)
    for (left, top), (_, color) in zip(places, categories, strict=False):  # the last two are those of the dots
        canvas.rectangle(left + tall // 8, top + tall // 8, tall - tall // 4, tall - tall // 4, color=color)
    canvas.dots(
        (np.array(places[-2:]) + tall / 2) / canvas.scale,
        filled=np.array([True, False]),
        radii=np.full(2, 0.36 * tall),
        colors=np.full((2, 3), _GREY, np.uint8),
    )
