"""What is behind the figure: studios, rooms, gradients, streets, clutter, or photographs from a folder."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from deepmark.images.opened_image import read_image
from deepmark.shapes import UInt8
from deepmark.synthetic.background import paint_background
from deepmark.synthetic.canvas import Size
from deepmark.synthetic.texture import hsv, pick_color, pick_kind, sample_texture, tile_texture

Image = UInt8[np.ndarray, "h w 3"]


def sample_ground(rng: Generator, size: Size, shares: dict[str, float], photographs: tuple[Path, ...] = ()) -> Image:
    """A ground of one of these kinds, more or less out of focus; from `photographs` where there are some."""
    if photographs:
        image = _photograph(rng, photographs[int(rng.integers(len(photographs)))], size)
    else:
        image = GROUNDS[pick_kind(rng, shares)](rng, size)
    sigma = rng.uniform(0.3, 3.5) if rng.random() < 0.75 else rng.uniform(4, 12)
    return cv2.GaussianBlur(image, (0, 0), sigma)


def _studio(rng: Generator, size: Size) -> Image:
    return paint_background(rng, size, source="shop")


def _room(rng: Generator, size: Size) -> Image:
    return paint_background(rng, size, source="user")


def _gradient(rng: Generator, size: Size) -> Image:
    corners = np.array([[pick_color(rng), pick_color(rng)], [pick_color(rng), pick_color(rng)]], np.uint8)
    smooth = cv2.resize(corners, size[::-1], interpolation=cv2.INTER_CUBIC)
    coarse = rng.normal(0, 12, (size[0] // 24 + 2, size[1] // 24 + 2, 1)).astype(np.float32)
    clouds = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + clouds[..., None], 0, 255).astype(np.uint8)


def _street(rng: Generator, size: Size) -> Image:
    """Sky, house fronts with windows, pavement with the lines of its stones."""
    height, width = size
    horizon = int(height * rng.uniform(0.5, 0.85))
    sky = hsv(rng.uniform(0.52, 0.62), rng.uniform(0.05, 0.5), rng.uniform(0.6, 1))
    image = np.full((*size, 3), sky, np.uint8)
    x = -int(rng.integers(0, width // 2))
    while x < width:
        wide, top = int(rng.uniform(0.2, 0.6) * width), int(horizon * rng.uniform(0, 0.6))
        wall = hsv(rng.random(), rng.uniform(0.02, 0.4), rng.uniform(0.3, 0.9))
        cv2.rectangle(image, (x, top), (x + wide, horizon), wall, -1)
        window, pane = pick_color(rng, strength=0.4), int(rng.uniform(0.05, 0.14) * width)
        for row in range(top + pane // 2, horizon - pane, 2 * pane):
            for column in range(x + pane // 2, x + wide - pane, int(1.7 * pane)):
                cv2.rectangle(image, (column, row), (column + pane, row + int(1.3 * pane)), window, -1)
        x += wide
    image[horizon:] = hsv(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.25, 0.7))
    line, middle = pick_color(rng, strength=0.2), int(rng.integers(0, width))
    for end in range(-2 * width, 3 * width, max(width // int(rng.integers(2, 7)), 1)):
        cv2.line(image, (middle, horizon), (end, height), line, 1, cv2.LINE_AA)
    return image


def _clutter(rng: Generator, size: Size) -> Image:
    """Patterned surfaces and things of all sizes, those farther away first."""
    height, width = size
    image = tile_texture(sample_texture(rng, strength=0.5).tile, size, rng.uniform(0.4, 1.3) * np.eye(2), None)
    for side in np.sort(rng.exponential(0.12, int(rng.integers(15, 60))))[::-1]:
        center = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        half = np.maximum(side * width * rng.uniform(0.3, 1, 2), 2).astype(int)
        color, turn = pick_color(rng), rng.uniform(0, 180)
        if rng.random() < 0.5:
            cv2.ellipse(image, center, (int(half[0]), int(half[1])), turn, 0, 360, color, -1, cv2.LINE_AA)
        else:
            box = cv2.boxPoints((center, (2.0 * half[0], 2.0 * half[1]), turn)).astype(np.int32)
            cv2.fillPoly(image, [box], color, cv2.LINE_AA)
    return image


def _photograph(rng: Generator, file: Path, size: Size) -> Image:
    """A part of a photograph in the shape of the image."""
    image = read_image(file)
    height, width = size
    scale = max(height / image.shape[0], width / image.shape[1]) * rng.uniform(1, 1.6)
    high, wide = max(round(height / scale), 1), max(round(width / scale), 1)
    y = int(rng.integers(0, max(image.shape[0] - high, 0) + 1))
    x = int(rng.integers(0, max(image.shape[1] - wide, 0) + 1))
    part = image[y : y + high, x : x + wide]  # cut out first: a wide strip enlarged as a whole takes a gigabyte
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


GROUNDS: dict[str, Callable[[Generator, Size], Image]] = {
    "studio": _studio,
    "room": _room,
    "gradient": _gradient,
    "street": _street,
    "clutter": _clutter,
}
