"""Draws measurements on an image: a dimension line for each, and beside the image what each line is and how long."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count, cycle, product
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from deepmark.measure.measure import Length, MeasuredGarment
from deepmark.measure.scale import Scale
from deepmark.shapes import Float64, UInt8

Color = tuple[int, int, int]
Place = tuple[float, float, float, float]
"""Left, top, right, bottom; pixels of the canvas."""

_SMALLEST, _LARGEST = 900, 2000
"""The long side of an image is brought between these, pixels, so that lines and text are neither coarse nor tiny."""

_FINE = 2
"""Lines are drawn at so many times their size and made smaller: Pillow's own have steps."""

_COLORS: tuple[Color, ...] = (
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
    (0, 140, 105),  # green
    (190, 80, 140),  # purple
    (160, 110, 0),  # ochre
    (70, 80, 200),  # indigo
    (200, 40, 60),  # crimson
    (0, 125, 140),  # teal
)
"""Dark enough for white text; neighbours in the list differ also for colour-blind people."""

_INK, _GREY, _LINE, _PAPER = (24, 24, 28), (112, 112, 120), (222, 222, 228), (255, 255, 255)
_PLACES = (0.5, 0.36, 0.64, 0.24, 0.76, 0.12, 0.88)
"""Where a label may lie on its line, best first."""


class _Label(NamedTuple):
    """A measurement, its letter and its colour."""

    letter: str
    color: Color
    length: Length
    size: float
    """Of its line and text: 1, or less where the garment is small in the image."""


def draw_measurements(
    image: UInt8[np.ndarray, "h w 3"], garments: Sequence[MeasuredGarment], scale: Scale
) -> UInt8[np.ndarray, "_ _ 3"]:
    """The image with a dimension line for each measurement, and a list of them at its right.

    A dashed line rests on a landmark that the detector did not see.
    """
    shown = Image.fromarray(image)
    long_side = max(shown.size)
    zoom = min(max(long_side, _SMALLEST), _LARGEST) / long_side
    shown = shown.resize((round(shown.width * zoom), round(shown.height * zoom)), Image.Resampling.LANCZOS)
    letters, colors = _letters(), cycle(_COLORS)
    unit = max(shown.size) / 1000
    labels = []
    for garment in garments:
        size = min(max(zoom * float((garment.box[2:] - garment.box[:2]).max()) / (600 * unit), 0.6), 1.0)
        labels.append([_Label(next(letters), next(colors), one, size) for one in garment.lengths])
    shown = _with_lines(shown, [label for group in labels for label in group], zoom, unit)
    return np.asarray(_beside(shown, _panel(garments, labels, scale, shown.height, unit)))


def _letters() -> Iterator[str]:
    """A to Z, then AA, AB, …"""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for size in count(1):
        yield from ("".join(letters) for letters in product(alphabet, repeat=size))


@lru_cache(maxsize=64)
def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "this Pillow has no FreeType"
    return font


def _with_lines(image: Image.Image, labels: Sequence[_Label], zoom: float, unit: float) -> Image.Image:
    """The image with the lines, then their labels, for a line must not cross a label."""
    size = (image.width * _FINE, image.height * _FINE)
    canvas = Image.new("RGBA", size)
    pen = ImageDraw.Draw(canvas)
    fine = unit * _FINE
    paths = [label.length.points * zoom * _FINE for label in labels]
    for label, path in zip(labels, paths, strict=True):
        _dimension_line(pen, path, label.color, fine * label.size, dashed=bool(label.length.hidden))
    taken: list[Place] = []
    order = sorted(range(len(labels)), key=lambda i: labels[i].length.value)  # short lines have few places
    for i in order:
        taken.append(_plate(pen, paths[i], labels[i], fine * labels[i].size, size, taken))
    image = image.convert("RGBA")
    image.alpha_composite(canvas.resize(image.size, Image.Resampling.LANCZOS))
    return image.convert("RGB")


def _dimension_line(
    pen: ImageDraw.ImageDraw, path: Float64[np.ndarray, "k 2"], color: Color, unit: float, *, dashed: bool
) -> None:
    """A line on a light edge with an arrow and a bar at each end, as in a technical drawing."""
    core, halo = 2.6 * unit, 6.2 * unit
    ends = [(path[0], path[1]), (path[-1], path[-2])]
    bars = [_bar(tip, inner, 9 * unit) for tip, inner in ends]
    for paint, width in (((*_PAPER, 210), halo), ((*color, 255), core)):
        pieces = _dashes(path, 9 * unit) if dashed and width == core else [path]
        for piece in [*pieces, *bars]:
            pen.line([tuple(point) for point in piece.tolist()], fill=paint, width=round(width), joint="curve")
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    head = min(17 * unit, 0.4 * length)
    for tip, inner in ends:
        pen.polygon([tuple(point) for point in _head(tip, inner, head).tolist()], fill=(*color, 255))


def _direction(tip: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The unit vector from the tip of a line inwards."""
    along = inner - tip
    return along / max(float(np.hypot(*along)), 1e-9)


def _bar(tip: np.ndarray, inner: np.ndarray, half: float) -> Float64[np.ndarray, "2 2"]:
    x, y = _direction(tip, inner) * half
    return tip + np.array([(-y, x), (y, -x)])


def _head(tip: np.ndarray, inner: np.ndarray, length: float) -> Float64[np.ndarray, "3 2"]:
    x, y = _direction(tip, inner) * length
    return tip + np.array([(0, 0), (x - 0.3 * y, y + 0.3 * x), (x + 0.3 * y, y - 0.3 * x)])


def _dashes(path: Float64[np.ndarray, "k 2"], dash: float) -> list[np.ndarray]:
    """Pieces of the path, `dash` long with gaps of the same length."""
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    marks = np.concatenate([[0.0], np.cumsum(lengths)])
    starts = np.arange(0, marks[-1], 2 * dash)
    ends = np.minimum(starts + dash, marks[-1])

    def at(distance: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(distance, marks, path[:, axis]) for axis in (0, 1)], axis=1)

    return list(np.stack([at(starts), at(ends)], axis=1))


def _plate(
    pen: ImageDraw.ImageDraw,
    path: Float64[np.ndarray, "k 2"],
    label: _Label,
    unit: float,
    size: tuple[int, int],
    taken: Sequence[Place],
) -> Place:
    """Draws the letter and the value on the line, where they hide the least of other labels."""
    font = _font(19 * unit)
    text = f"{label.letter}  {_number(label.length.value)}"
    width, height = font.getlength(text) + 12 * unit, 26 * unit
    marks = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])

    def place(share: float) -> Place:
        x, y = (float(np.interp(share * marks[-1], marks, path[:, axis])) for axis in (0, 1))
        left = min(max(x - width / 2, 0), max(size[0] - width, 0))
        top = min(max(y - height / 2, 0), max(size[1] - height, 0))
        return left, top, left + width, top + height

    others = np.array(taken, np.float64).reshape(-1, 4)
    best = min(map(place, _PLACES), key=lambda one: _hidden(one, others))
    pen.rounded_rectangle(
        best, radius=7 * unit, fill=(*label.color, 255), outline=(*_PAPER, 255), width=round(2 * unit)
    )
    pen.text(((best[0] + best[2]) / 2, (best[1] + best[3]) / 2), text, font=font, fill=_PAPER, anchor="mm")
    return best


def _hidden(place: Place, taken: Float64[np.ndarray, "n 4"]) -> float:
    """The pixels of other labels that a label here would hide."""
    sides = np.minimum(taken[:, 2:], place[2:]) - np.maximum(taken[:, :2], place[:2])
    return float(np.maximum(sides, 0).prod(axis=1).sum())


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


class _Row(NamedTuple):
    """A line of the list: a garment's name, a measurement, or a remark."""

    height: float
    text: str
    label: _Label | None = None
    title: bool = False


def _rows(garments: Sequence[MeasuredGarment], labels: Sequence[Sequence[_Label]], scale: Scale) -> Iterator[_Row]:
    for garment, group in zip(garments, labels, strict=True):
        yield _Row(46, f"{garment.category.name}  {garment.score:.2f}", title=True)
        for label in group:
            yield _Row(33, label.length.name, label)
    if not garments:
        yield _Row(46, "no garment found", title=True)
    yield _Row(30, "")
    yield _Row(25, f"{scale.unit}; intervals of 95%")
    if scale.unit != "px":
        yield _Row(25, scale.reference)
    if any(label.length.hidden for group in labels for label in group):
        yield _Row(25, "dashed, *: rests on a landmark that was not seen")


def _panel(
    garments: Sequence[MeasuredGarment],
    labels: Sequence[Sequence[_Label]],
    scale: Scale,
    height: int,
    unit: float,
) -> Image.Image:
    """The list of the measurements, in as many columns as the height of the image asks for."""
    columns: list[list[_Row]] = [[]]
    for row in _rows(garments, labels, scale):
        if (sum(one.height for one in columns[-1]) + row.height) * unit > height - 40 * unit:
            columns.append([])
        columns[-1].append(row)
    width = 430 * unit
    panel = Image.new("RGB", (round(width * len(columns) + 12 * unit), height), _PAPER)
    pen = ImageDraw.Draw(panel)
    for number, column in enumerate(columns):
        top = 20 * unit
        for row in column:
            _draw_row(pen, row, 26 * unit + number * width, top, width - 38 * unit, unit)
            top += row.height * unit
    return panel


def _draw_row(pen: ImageDraw.ImageDraw, row: _Row, left: float, top: float, width: float, unit: float) -> None:
    middle = top + row.height * unit / 2
    if row.label is None:
        font = _font((23 if row.title else 15) * unit)
        pen.text((left, middle), row.text, font=font, fill=_INK if row.title else _GREY, anchor="lm")
        if row.title:
            bottom = top + (row.height - 4) * unit
            pen.line([(left, bottom), (left + width, bottom)], fill=_LINE, width=max(1, round(1.5 * unit)))
        return
    length = row.label.length
    pen.rounded_rectangle(
        (left, middle - 12 * unit, left + 32 * unit, middle + 12 * unit), radius=6 * unit, fill=row.label.color
    )
    pen.text((left + 16 * unit, middle), row.label.letter, font=_font(16 * unit), fill=_PAPER, anchor="mm")
    mark = " *" if length.hidden else ""
    pen.text((left + 44 * unit, middle), row.text + mark, font=_font(18 * unit), fill=_INK, anchor="lm")
    pen.text((left + width - 78 * unit, middle), _number(length.value), font=_font(19 * unit), fill=_INK, anchor="rm")
    half = (length.high - length.low) / 2
    pen.text((left + width, middle), f"± {_number(half)}", font=_font(16 * unit), fill=_GREY, anchor="rm")


def _beside(image: Image.Image, panel: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (image.width + panel.width, image.height), _PAPER)
    whole.paste(image, (0, 0))
    whole.paste(panel, (image.width, 0))
    return whole
