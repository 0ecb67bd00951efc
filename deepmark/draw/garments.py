"""Garments on an image: outline, landmarks, box, name and score.

Filled dots are visible landmarks (of labels), or landmarks placed by a peak of the heatmap (of detections). Hollow dots
are occluded landmarks, or landmarks placed by the coarse position from the garment's centre.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from deepmark.draw.canvas import Canvas, Color, Image, line_height, text_size, text_width
from deepmark.draw.labels import Place, place_label
from deepmark.draw.legend import Dots, add_legend
from deepmark.shapes import Bool, Float, UInt8
from deepmark.vocabulary import Category, Vocabulary

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
"""One colour for each category of DeepFashion2, RGB, bright enough for dark text on it; see `color_of`."""


def color_of(category: Category) -> Color:
    """The colour of a category; those of a vocabulary of more than `PALETTE` has begin anew."""
    return PALETTE[category.index % len(PALETTE)]


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
    @property
    def vocabulary(self) -> Vocabulary: ...


@runtime_checkable
class LabelledImage(Protocol):
    """What is drawn of a `types.ImageRecord`."""

    @property
    def garments(self) -> Any: ...


_FOUND = Dots("landmark seen", "landmark estimated")
_LABELLED = Dots("landmark visible", "landmark occluded")

_LINE, _EDGE, _FRAME, _FRAME_EDGE, _DOT = 1.9, 0.45, 1.4, 0.25, 3.6
"""Widths of the outline and of the ink around it, the same of the box, and the radius of a landmark; in pens."""


def draw_detections(image: Image, detections: DetectedGarments, *, min_score: float, legend: bool = False) -> Image:
    """The image with every detection of at least `min_score`, the best on top; small images come back enlarged.

    With `legend`, rows below the image say what its colours and dots mean.
    """
    drawn = []
    for i in reversed(range(len(detections.scores))):
        category = detections.vocabulary.categories[detections.categories[i]]
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
    return draw(image, drawn, legend=_FOUND if legend else None)


def draw_truth(image: Image, record: LabelledImage, vocabulary: Vocabulary, *, legend: bool = False) -> Image:
    """The image with its labelled garments, in the same style; small images come back enlarged."""
    garments = [
        Drawn(
            category=vocabulary.categories[garment.category],
            label=vocabulary.categories[garment.category].name,
            box=garment.box,
            points=garment.landmarks[:, :2],
            placed=garment.landmarks[:, 2] > 0,
            seen=garment.landmarks[:, 2] == 2,
        )
        for garment in record.garments
    ]
    return draw(image, garments, legend=_LABELLED if legend else None)


def draw(image: Image, garments: Sequence[Drawn], *, legend: Dots | None = None) -> Image:
    """A copy of the image with the garments drawn in order, at least `SMALLEST` pixels on its long side."""
    canvas = Canvas(image)
    if not garments:
        return canvas.pixels
    pens = np.array([_pen(canvas, garment) for garment in garments])
    colors = np.array([color_of(garment.category) for garment in garments], np.uint8)
    for garment, pen in zip(garments, pens.tolist(), strict=True):
        color = color_of(garment.category)
        canvas.frame(garment.box, width=_FRAME * pen, edge=_FRAME_EDGE * pen, color=color)
    _draw_outlines(canvas, garments, pens, colors)
    _draw_dots(canvas, garments, pens, colors)
    # Labels come last, for nothing may hide them; that of the garment on top takes its place first.
    taken: list[Place] = []
    points = np.concatenate([garment.points[garment.placed] for garment in garments]) * canvas.scale
    for garment, pen in zip(reversed(garments), pens[::-1].tolist(), strict=True):
        taken.append(_draw_label(canvas, garment, pen, points, taken))
    if legend is not None:
        categories = sorted({one.category.index: one.category for one in garments}.items())
        add_legend(canvas, [(category.name, color_of(category)) for _, category in categories], legend)
    return canvas.pixels


def _pen(canvas: Canvas, garment: Drawn) -> float:
    """The width of the pen, thinner for garments that are small in their image."""
    diagonal = math.hypot(*(garment.box[2:] - garment.box[:2])) * canvas.scale
    return float(np.clip(diagonal / 130, max(1.0, 0.5 * canvas.pen), canvas.pen))


def _draw_outlines(
    canvas: Canvas,
    garments: Sequence[Drawn],
    pens: Float[np.ndarray, " n"],
    colors: UInt8[np.ndarray, "n 3"],
) -> None:
    ends = []
    for garment in garments:
        pairs = np.array(garment.category.strokes, np.int64).reshape(-1, 2)
        ends.append(garment.points[pairs[garment.placed[pairs].all(axis=1)]])
    of = np.repeat(np.arange(len(garments)), [len(lines) for lines in ends])
    canvas.lines(
        np.concatenate(ends), widths=np.maximum(2.4, _LINE * pens)[of], edges=_EDGE * pens[of], colors=colors[of]
    )


def _draw_dots(
    canvas: Canvas,
    garments: Sequence[Drawn],
    pens: Float[np.ndarray, " n"],
    colors: UInt8[np.ndarray, "n 3"],
) -> None:
    of = np.repeat(np.arange(len(garments)), [int(garment.placed.sum()) for garment in garments])
    canvas.dots(
        np.concatenate([garment.points[garment.placed] for garment in garments]),
        filled=np.concatenate([garment.seen[garment.placed] for garment in garments]),
        radii=_DOT * pens[of],
        colors=colors[of],
    )


def _draw_label(
    canvas: Canvas, garment: Drawn, pen: float, points: Float[np.ndarray, "n 2"], taken: Sequence[Place]
) -> Place:
    size = text_size(pen)
    across, above = round(0.4 * size), size // 8
    width, height = text_width(garment.label, size) + 2 * across, line_height(size) + 2 * above
    place = place_label(
        garment.box * canvas.scale,
        (width, height),
        clear=math.ceil(_DOT * pen),
        canvas=(canvas.width, canvas.height),
        taken=taken,
        points=points,
    )
    canvas.rectangle(place[0], place[1], width, height, color=color_of(garment.category))
    canvas.text(garment.label, place[0] + across, place[1] + above, size)
    return place
