"""Where the labels of garments stand: near their boxes, on no other label, on as few landmarks as can be."""

from collections.abc import Iterator, Sequence

import numpy as np

from deepmark.shapes import Float

Place = tuple[int, int, int, int]
"""Left, top, right, bottom of a label, pixels of the canvas."""


def place_label(
    box: Float[np.ndarray, "4"],
    size: tuple[int, int],
    *,
    clear: int,
    canvas: tuple[int, int],
    taken: Sequence[Place],
    points: Float[np.ndarray, "n 2"],
) -> Place:
    """Above the box, above labels that are there, inside it or below: the first place that hides nothing, or least.

    `size` and `canvas` are width and height; `clear` is the distance from the box, whose border often holds landmarks.
    All are pixels of the canvas, and so are `points`, the landmarks of all garments.
    """

    def hidden(place: Place) -> tuple[int, int]:
        left, top, right, bottom = place
        inside = (points > (left - clear, top - clear)) & (points < (right + clear, bottom + clear))
        return sum(_overlap(place, other) for other in taken), int(inside.all(axis=1).sum())

    return min(_places(box, size, clear, canvas, taken), key=hidden)  # of equal ones, min takes the first


def _places(
    box: Float[np.ndarray, "4"], size: tuple[int, int], clear: int, canvas: tuple[int, int], taken: Sequence[Place]
) -> Iterator[Place]:
    (wide, tall), (width, height) = size, canvas
    x0, y0, x1, y1 = (round(side) for side in box.tolist())

    def at(left: int, top: int) -> Place:
        left, top = min(max(left, 0), max(width - wide, 0)), min(max(top, 0), max(height - tall, 0))
        return left, top, left + wide, top + tall

    above = y0 - clear - tall
    for left in (x0, x1 - wide):
        first = at(left, above)
        yield first
        tops = [other[1] for other in taken if _overlap(first, other)]
        yield at(left, min(tops, default=y0) - clear - tall)
    for top in (y0 + clear, y1 + clear, y1 - clear - tall):
        for left in (x0, x1 - wide):
            yield at(left, top)


def _overlap(a: Place, b: Place) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
