"""An image to draw on with smooth edges: lines, dots, frames and text, in pixels of the original image.

Of a line or a dot, only the pixels near it are touched, each by its distance from the middle: an edge is smooth at any
size of the image, and its cost grows with its length, not with the image.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from deepmark.shapes import Bool, Float, Float32, Int64, UInt8

Image = UInt8[np.ndarray, "_ _ 3"]
Color = tuple[int, int, int]

INK: Color = (24, 24, 28)
PAPER: Color = (255, 255, 255)

SMALLEST = 480
"""Images with a shorter long side, in pixels, are enlarged before they are drawn on, so that text can be read."""

_SMALLEST_TEXT = 14
"""Size of the font, pixels."""


class Canvas:
    """A copy of an image, at least `SMALLEST` pixels on its long side; points are pixels of the image itself."""

    def __init__(self, image: Image) -> None:
        height, width = image.shape[:2]
        self.scale = max(1.0, SMALLEST / max(height, width))
        """Pixels of the canvas for a pixel of the image."""
        self.width, self.height = round(width * self.scale), round(height * self.scale)
        if self.scale > 1:
            enlarged = PIL.Image.fromarray(image).resize((self.width, self.height), PIL.Image.Resampling.BICUBIC)
            self.pixels: Image = np.array(enlarged)
        else:
            self.pixels = np.array(image)
        self.pen = max(1.0, math.sqrt(self.width * self.height) / 400)
        """The unit of all widths: pixels of the canvas."""

    def frame(self, box: Float[np.ndarray, "4"], *, width: float, edge: float, color: Color) -> None:
        """The border of a box, in whole pixels of the canvas, between two edges of ink."""
        wide = max(2, round(width))
        x0, y0, x1, y1 = (round(side - wide / 2) for side in (box * self.scale).tolist())
        for paint, more in ((INK, max(1, round(edge))), (color, 0)):
            for left, top, right, bottom in ((x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)):
                rows = slice(max(top - more, 0), max(bottom + wide + more, 0))
                self.pixels[rows, max(left - more, 0) : max(right + wide + more, 0)] = paint

    def lines(
        self,
        ends: Float[np.ndarray, "n 2 2"],
        *,
        widths: Float[np.ndarray, " n"],
        edges: Float[np.ndarray, " n"],
        colors: UInt8[np.ndarray, "n 3"],
    ) -> None:
        """Lines between two edges of ink; widths and edges are pixels of the canvas.

        A line is walked along the axis in which it is longer: at each step the pixels to both sides are looked at.
        """
        ends, half, reach = (part.astype(np.float32) for part in (ends * self.scale, widths / 2, widths / 2 + edges))
        start, way = ends[:, 0], ends[:, 1] - ends[:, 0]
        steep = np.abs(way[:, 1]) > np.abs(way[:, 0])
        (run, rise), (along, across) = (np.where(steep, part.T[::-1], part.T) for part in (way, start))
        slope = rise / np.where(run == 0, 1, run)
        last = np.where(steep, self.height, self.width)
        first = np.clip(along + np.minimum(run, 0) - half, 0, last).astype(np.int64)
        steps = np.clip(along + np.maximum(run, 0) + half + 1, first, last).astype(np.int64) - first
        of = np.repeat(np.arange(len(ends)), steps)
        step = np.arange(len(of)) + (first + steps - np.cumsum(steps))[of]
        middle = (across + slope * (np.float32(0.5) - along))[of] + slope[of] * step.astype(np.float32)
        shorter = 1 / np.sqrt(1 + slope**2)
        side = math.ceil(((reach + 0.5) / shorter).max(initial=0))
        row = np.floor(middle).astype(np.int64) - side
        columns = 2 * side + 1
        distances = np.arange(columns, dtype=np.float32) + (row - middle + 0.5).astype(np.float32)[:, None]
        distances = np.abs(distances * shorter.take(of)[:, None])
        near = np.flatnonzero(distances < (reach + np.float32(0.5)).take(of)[:, None])
        at, column = np.divmod(near, columns)
        of, step, row = of.take(at), step.take(at), row.take(at) + column
        x, y = np.where(steep.take(of), (row, step), (step, row))
        self._paint(x, y, distances.ravel().take(near), of, [(reach, INK), (half, colors)])

    def dots(
        self,
        centers: Float[np.ndarray, "n 2"],
        *,
        filled: Bool[np.ndarray, " n"],
        radii: Float[np.ndarray, " n"],
        colors: UInt8[np.ndarray, "n 3"],
    ) -> None:
        """Discs inside rings of ink, white in the middle where they are not filled; radii are pixels of the canvas."""
        centers, radii = (part.astype(np.float32) for part in (centers * self.scale, radii))
        side = math.ceil(radii.max(initial=0) + 0.5)
        corner = np.floor(centers).astype(np.int64) - side
        columns = 2 * side + 1
        away = (
            np.arange(columns, dtype=np.float32) + (corner - centers + 0.5).astype(np.float32)[..., None]
        )  # n, x or y, column
        squares = away**2
        squares = squares[:, 1, :, None] + squares[:, 0, None, :]
        near = np.flatnonzero(squares < (radii[:, None, None] + np.float32(0.5)) ** 2)
        of, place = np.divmod(near, columns**2)
        y, x = np.divmod(place, columns)
        middles = np.where(filled[:, None], colors, np.uint8(255))
        rings = [(radii, INK), (np.float32(0.8) * radii, colors), (np.float32(0.5) * radii, middles)]
        self._paint(
            x + corner[:, 0].take(of), y + corner[:, 1].take(of), np.sqrt(squares.ravel().take(near)), of, rings
        )

    def rectangle(self, left: int, top: int, width: int, height: int, *, color: Color) -> None:
        """A filled rectangle with round corners, in pixels of the canvas."""
        self._stamp(_rounded(width, height, max(2, height // 5)), left, top, color)

    def text(self, text: str, left: int, top: int, size: int) -> None:
        """A line of text in ink; left, top and size are pixels of the canvas."""
        self._stamp(_letters(text, size), left, top, INK)

    def extend(self, rows: int) -> None:
        """Add white rows below the image."""
        added = np.full((rows, self.width, 3), PAPER, np.uint8)
        self.pixels = np.concatenate([self.pixels, added])
        self.height += rows

    def _stamp(self, cover: UInt8[np.ndarray, "h w"], left: int, top: int, color: Color) -> None:
        """Mix a colour into the canvas by how much of each pixel is covered; what lies outside is left out."""
        x0, y0 = max(left, 0), max(top, 0)
        part = self.pixels[y0 : top + cover.shape[0], x0 : left + cover.shape[1]]
        cover = cover[y0 - top :, x0 - left :][: part.shape[0], : part.shape[1]]
        share = cover[..., None].astype(np.float32) / 255
        part[:] = np.rint(part + share * (np.array(color, np.float32) - part))

    def _paint(
        self,
        x: Int64[np.ndarray, " m"],
        y: Int64[np.ndarray, " m"],
        distances: Float32[np.ndarray, " m"],
        of: Int64[np.ndarray, " m"],
        rings: Sequence[tuple[Float32[np.ndarray, " n"], Any]],
    ) -> None:
        """Mix the colours of shapes into pixels at these distances from their middles; `of` is a pixel's shape.

        The rings are radii and colours of all shapes, the largest ring first. Where several shapes meet, the last one
        counts, and the inside of any before the borders of others.
        """
        if len(x) and (x.min() < 0 or y.min() < 0 or x.max() >= self.width or y.max() >= self.height):
            inside = np.flatnonzero((x >= 0) & (x < self.width) & (y >= 0) & (y < self.height))
            x, y, distances, of = (part.take(inside) for part in (x, y, distances, of))
        places = y * self.width + x
        flat = self.pixels.reshape(-1, 3)
        mixed = flat.take(places, axis=0).T.astype(np.float32)
        for radii, color in rings:
            share = np.clip(radii.take(of) + np.float32(0.5) - distances, 0, 1)
            colors = np.asarray(color, np.float32).reshape(-1, 3).T
            mixed += share * ((colors if colors.shape[1] == 1 else colors.take(of, axis=1)) - mixed)
        pixels = np.rint(mixed.T).astype(np.uint8, order="C").view("V3")[:, 0]
        solid = np.flatnonzero(share == 1)
        whole = flat.view("V3")[:, 0]  # NumPy puts one value of three bytes quicker than three of one
        np.put(whole, places, pixels)
        np.put(whole, places.take(solid), pixels.take(solid))


def text_size(pen: float) -> int:
    """The size of text that fits to a pen, large enough to be read."""
    return max(_SMALLEST_TEXT, round(11 * pen))


def text_width(text: str, size: int) -> int:
    return math.ceil(_font(size).getlength(text))


def line_height(size: int) -> int:
    """Of a line of text, from above its capitals to below the tail of a g."""
    return sum(_font(size).getmetrics())


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels are built with FreeType
    return font


@lru_cache(maxsize=256)
def _letters(text: str, size: int) -> UInt8[np.ndarray, "h w"]:
    """How much of each pixel the letters cover; a little bolder than the font, for they stand on colours."""
    font, bold = _font(size), size / 50
    mask = PIL.Image.new("L", (text_width(text, size) + 2, line_height(size)))
    ImageDraw.Draw(mask).text((0, 0), text, fill=255, font=font, stroke_width=bold)
    return np.asarray(mask)


@lru_cache(maxsize=64)
def _rounded(width: int, height: int, radius: int) -> UInt8[np.ndarray, "h w"]:
    times = 4
    mask = PIL.Image.new("L", (times * width, times * height))
    corners = (0, 0, times * width - 1, times * height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(corners, times * radius, fill=255)
    return np.asarray(mask.reduce(times))
