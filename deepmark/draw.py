"""Draws garments on images: box, name, score, landmarks and outline.

Filled dots are visible landmarks (of labels), or landmarks placed by a peak of the heatmap (of detections). Hollow dots
are occluded landmarks, or landmarks placed by the coarse position from the garment's centre.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np

from deepmark.schema import CATEGORIES, Category
from deepmark.shapes import Bool, Float, UInt8

Image = UInt8[np.ndarray, "_ _ 3"]
Color = tuple[int, int, int]
Place = tuple[int, int, int, int]
"""Left, top, right, bottom of a label, pixels of the canvas."""

SMALLEST = 480
"""Images with a shorter long side, in pixels, are enlarged before they are drawn on, so that text can be read."""

PALETTE: tuple[Color, ...] = (
    (255, 99, 99),  # short sleeve top: coral
    (255, 164, 46),  # long sleeve top: amber
    (214, 196, 30),  # short sleeve outwear: mustard
    (139, 214, 54),  # long sleeve outwear: lime
    (38, 201, 117),  # vest: emerald
    (45, 212, 205),  # sling: turquoise
    (64, 175, 255),  # shorts: sky
    (96, 125, 255),  # trousers: cornflower
    (158, 107, 255),  # skirt: violet
    (219, 94, 255),  # short sleeve dress: orchid
    (255, 89, 189),  # long sleeve dress: pink
    (222, 160, 120),  # vest dress: sand
    (170, 190, 215),  # sling dress: steel
)
"""One colour for each category, RGB, bright enough for dark text on it."""

_INK: Color = (24, 24, 28)
_PAPER: Color = (255, 255, 255)
_DOT = 4.0
"""Radius of a landmark in widths of the pen; labels stay that far from a box, whose border often holds landmarks."""
_FRACTION = 4
"""Bits of a pixel in the coordinates OpenCV draws at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """One garment to draw, in pixels of the image."""

    category: Category
    label: str
    box: Float[np.ndarray, "4"]
    points: Float[np.ndarray, "k 2"]
    placed: Bool[np.ndarray, " k"]
    """Which landmarks are drawn."""

    seen: Bool[np.ndarray, " k"]
    """Filled dots; the others are hollow."""


@runtime_checkable
class DetectedGarments(Protocol):
    """What is drawn of `types.Detections`, which has a method that draws and therefore cannot be imported here."""

    @property
    def boxes(self) -> Any: ...
    @property
    def scores(self) -> Any: ...
    @property
    def categories(self) -> Any: ...
    @property
    def landmarks(self) -> Any: ...
    @property
    def landmark_scores(self) -> Any: ...


@runtime_checkable
class LabelledImage(Protocol):
    """What is drawn of a `types.ImageRecord`."""

    @property
    def garments(self) -> Any: ...


def draw_detections(image: Image, detections: DetectedGarments, *, min_score: float) -> Image:
    """The image with every detection of at least `min_score`, the best on top; small images come back enlarged."""
    drawn = []
    for i in reversed(range(len(detections.scores))):
        category = CATEGORIES[detections.categories[i]]
        if detections.scores[i] >= min_score:
            drawn.append(
                Drawn(
                    category=category,
                    label=f"{category.name} {detections.scores[i]:.2f}",
                    box=detections.boxes[i].astype(np.float64),
                    points=detections.landmarks[i, : category.landmarks].astype(np.float64),
                    placed=np.ones(category.landmarks, bool),
                    seen=detections.landmark_scores[i, : category.landmarks] > 0,
                )
            )
    return draw(image, drawn)


def draw_truth(image: Image, record: LabelledImage) -> Image:
    """The image with its labelled garments, in the same style; small images come back enlarged."""
    garments = [
        Drawn(
            category=CATEGORIES[garment.category],
            label=CATEGORIES[garment.category].name,
            box=garment.box,
            points=garment.landmarks[:, :2],
            placed=garment.landmarks[:, 2] > 0,
            seen=garment.landmarks[:, 2] == 2,
        )
        for garment in record.garments
    ]
    return draw(image, garments)


def draw(image: Image, garments: Sequence[Drawn]) -> Image:
    """A copy of the image with the garments drawn in order, at least `SMALLEST` pixels on its long side."""
    height, width = image.shape[:2]
    enlarged = max(1.0, SMALLEST / max(height, width))
    size = (round(width * enlarged), round(height * enlarged))
    canvas = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) if enlarged > 1 else image.copy()
    pen = max(1.0, math.sqrt(size[0] * size[1]) / 400)
    for garment in garments:
        _draw_skeleton(canvas, garment, enlarged, pen)
    taken: list[Place] = []
    for garment in reversed(garments):
        taken.append(_draw_plate(canvas, garment, enlarged, pen, taken))
    for garment in garments:
        _draw_dots(canvas, garment, enlarged, pen)
    # Text comes last: at the upper edge of an image landmarks lie on the labels, and both should be seen.
    for garment, place in zip(reversed(garments), taken, strict=True):
        _draw_letters(canvas, garment.label, place, pen)
    return canvas


def contact_sheet(images: Sequence[Image], columns: int, *, gap: int = 8) -> Image:
    """The images in a grid on white, each in the middle of a cell as large as the largest."""
    if not images or columns < 1:
        raise ValueError(f"a contact sheet of {len(images)} images in {columns} columns")
    columns = min(columns, len(images))
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    rows = math.ceil(len(images) / columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top = i // columns * (height + gap) + (height - image.shape[0]) // 2
        left = i % columns * (width + gap) + (width - image.shape[1]) // 2
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def _fixed(points: Float[np.ndarray, "*n 2"], enlarged: float) -> np.ndarray:
    # OpenCV's (0, 0) is the centre of the first pixel, ours its outer corner.
    return np.rint((points * enlarged - 0.5) * 2**_FRACTION).astype(np.int32)


def _draw_skeleton(canvas: Image, garment: Drawn, enlarged: float, pen: float) -> None:
    points = _fixed(garment.points, enlarged)
    lines = [points[[a, b]] for a, b in garment.category.strokes if garment.placed[a] and garment.placed[b]]
    corners = _fixed(garment.box.reshape(2, 2), enlarged)
    frame = np.stack([corners[[0, 1, 1, 0], 0], corners[[0, 0, 1, 1], 1]], axis=1)
    color = PALETTE[garment.category.index]
    thin, edge = max(1, round(1.5 * pen)), 2 * max(1, round(0.4 * pen))
    for paint, width in ((_INK, thin + edge), (color, thin)):
        cv2.polylines(canvas, lines, False, paint, width, cv2.LINE_AA, _FRACTION)
    cv2.polylines(canvas, [frame], True, color, thin, cv2.LINE_AA, _FRACTION)


def _draw_dots(canvas: Image, garment: Drawn, enlarged: float, pen: float) -> None:
    color = PALETTE[garment.category.index]
    points = _fixed(garment.points, enlarged).tolist()
    for point, placed, seen in zip(points, garment.placed, garment.seen, strict=True):
        if placed:
            for paint, radius in ((_INK, _DOT), (color, 0.8 * _DOT), (color if seen else _PAPER, 0.5 * _DOT)):
                cv2.circle(canvas, point, round(radius * pen * 2**_FRACTION), paint, -1, cv2.LINE_AA, _FRACTION)


def _letters(pen: float) -> tuple[cv2.FontFace, int, int]:
    """The font, the height of its letters, and the room around them."""
    height = max(15, round(15 * pen))
    return cv2.FontFace("sans"), height, max(2, round(0.3 * height))


def _draw_plate(canvas: Image, garment: Drawn, enlarged: float, pen: float, taken: Sequence[Place]) -> Place:
    size = canvas.shape[1::-1]
    face, height, pad = _letters(pen)
    _, _, text_width, text_height = cv2.getTextSize(size, garment.label, (0, 0), face, height, 600)
    label, clear = (text_width + 2 * pad, text_height + pad), math.ceil(_DOT * pen)
    place = _place(garment.box * enlarged, label, clear, size, taken)
    cv2.rectangle(canvas, place[:2], place[2:], PALETTE[garment.category.index], -1)
    return place


def _draw_letters(canvas: Image, label: str, place: Place, pen: float) -> None:
    face, height, pad = _letters(pen)
    cv2.putText(canvas, label, (place[0] + pad, place[3] - pad), _INK, face, height, 600)


def _place(
    box: Float[np.ndarray, "4"], label: tuple[int, int], clear: int, canvas: tuple[int, int], taken: Sequence[Place]
) -> Place:
    """Above the box, above a label that is there, inside the box or below: the first place that hides no label."""
    (wide, tall), (width, height) = label, canvas
    x0, y0, _, y1 = (round(side) for side in box.tolist())
    left = min(max(x0, 0), max(width - wide, 0))

    def at(top: int) -> Place:
        top = min(max(top, 0), max(height - tall, 0))
        return left, top, left + wide, top + tall

    first = at(y0 - clear - tall)
    hidden = [other[1] for other in taken if _overlap(first, other)]
    places = [first, at(min(hidden, default=y0) - clear - tall), at(y0 + clear), at(y1 + clear)]
    return next((place for place in places if not any(_overlap(place, other) for other in taken)), first)


def _overlap(a: Place, b: Place) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
