"""Surfaces seen from above on which clothes lie: boards, a sheet, one plain colour, a table, a carpet."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float, UInt8
from deepmark.synthetic.canvas import Size
from deepmark.synthetic.texture import Color, hsv, pick_kind

Image = UInt8[np.ndarray, "h w 3"]


def sample_floor(rng: Generator, size: Size, shares: dict[str, float]) -> Image:
    """A surface of one of these kinds, nearly in focus."""
    return cv2.GaussianBlur(FLOORS[pick_kind(rng, shares)](rng, size), (0, 0), rng.uniform(0.3, 1.2))


def shadowed(
    ground: Image, alpha: Float[np.ndarray, "h w"], shift: Float[np.ndarray, "2"], sigma: float, strength: float
) -> Image:
    """The ground with the soft shadow of what lies on it or hangs before it, shifted by pixels."""
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    soft = cv2.GaussianBlur(cv2.warpAffine(alpha, move, alpha.shape[::-1]), (0, 0), sigma)
    return (ground * (1 - strength * soft[..., None])).astype(np.uint8)


def _noise(rng: Generator, size: Size, cell: tuple[float, float]) -> Float[np.ndarray, "h w"]:
    """Soft noise about 0; its cells are this many pixels high and wide."""
    coarse = rng.normal(0, 1, (int(size[0] / cell[0]) + 3, int(size[1] / cell[1]) + 3)).astype(np.float32)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def _painted(color: Color, light: Float[np.ndarray, "h w"]) -> Image:
    return np.clip(np.array(color, np.float32) * light[..., None], 0, 255).astype(np.uint8)


def _turned(rng: Generator, image: UInt8[np.ndarray, "side side 3"], size: Size, spread: float) -> Image:
    """The middle of a larger image, turned by some degrees or by a right angle more."""
    angle = rng.normal(0, spread) + 90 * float(rng.integers(2))
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    turn[:, 2] += (size[1] / 2 - width / 2, size[0] / 2 - height / 2)
    return cv2.warpAffine(image, turn, size[::-1], borderMode=cv2.BORDER_REFLECT)


def _wood(rng: Generator) -> Color:
    return hsv(rng.uniform(0.05, 0.1), rng.uniform(0.1, 0.6), rng.uniform(0.35, 0.9))


def _boards(rng: Generator, size: Size) -> Image:
    """Floor boards with grain, joints between them, and ends."""
    side = int(1.2 * max(size))
    wide = int(rng.uniform(0.07, 0.2) * side)
    light = 1 + 0.05 * _noise(rng, (side, side), (side / 4, 3.0)) + 0.04 * _noise(rng, (side, side), (side / 30, 1.5))
    joint = rng.uniform(0.5, 0.85)
    for x in range(-int(rng.integers(wide)), side, wide):
        start = max(x, 0)
        light[:, start : x + wide] *= rng.uniform(0.86, 1.12)
        light[:, start : x + max(wide // 45, 1)] *= joint
        for y in rng.integers(0, side, 2):
            light[y : y + max(wide // 45, 1), start : x + wide] *= joint
    return _turned(rng, _painted(_wood(rng), light), size, 12)


def _sheet(rng: Generator, size: Size) -> Image:
    """Bed linen or another cloth: long soft folds, in light from one side."""
    side = int(1.2 * max(size))
    color = hsv(rng.random(), rng.uniform(0, 0.25), rng.uniform(0.65, 1))
    y, x = np.mgrid[-0.5 : 0.5 : side // 3 * 1j, -0.5 : 0.5 : side // 3 * 1j].astype(np.float32)
    folds = np.zeros_like(x)
    for _ in range(int(rng.integers(3, 8))):
        angle, at = rng.uniform(0, np.pi), rng.uniform(-0.5, 0.5)
        across = x * np.cos(angle) + y * np.sin(angle) - at + 0.04 * np.sin(rng.uniform(3, 9) * (x - y) + angle)
        folds += rng.uniform(0.5, 1) * np.tanh(across / 0.02) * np.exp(-((across / rng.uniform(0.03, 0.1)) ** 2))
    folds = cv2.resize(folds, (side, side), interpolation=cv2.INTER_CUBIC)
    light = 0.94 + rng.uniform(0.03, 0.09) * folds + 0.02 * _noise(rng, (side, side), (side / 6, side / 6))
    return _turned(rng, _painted(color, light), size, 30)


def _plain(rng: Generator, size: Size) -> Image:
    """Paper or a board, as in a shop's pictures."""
    color = hsv(rng.random(), rng.uniform(0, 0.2), rng.uniform(0.75, 1))
    return _painted(color, 1 + 0.025 * _noise(rng, size, (size[0] / 2, size[1] / 2)))


def _table(rng: Generator, size: Size) -> Image:
    """One plate of wood with wavy grain, or of stone with veins."""
    side = int(1.2 * max(size))
    bend = _noise(rng, (side, side), (side / 2, side / 5))
    if rng.random() < 0.6:
        x = np.linspace(0, 1, side)[None]
        rings = np.sin(2 * np.pi * (rng.uniform(5, 14) * x + 0.5 * bend))
        light = 1 + 0.07 * rings + 0.03 * _noise(rng, (side, side), (side / 8, 2.0))
        return _turned(rng, _painted(_wood(rng), light.astype(np.float32)), size, 20)
    veins = np.exp(-np.abs(bend + 0.5 * _noise(rng, (side, side), (side / 12, side / 12))) / 0.06)
    color = hsv(rng.random(), rng.uniform(0, 0.1), rng.uniform(0.25, 0.95))
    return _turned(rng, _painted(color, 1 - 0.2 * veins), size, 40)


def _carpet(rng: Generator, size: Size) -> Image:
    """Pile with grain, and for some a border of another colour."""
    light = 1 + 0.12 * rng.normal(0, 1, size).astype(np.float32) + 0.05 * _noise(rng, size, (9.0, 9.0))
    image = _painted(hsv(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.2, 0.85)), light)
    if rng.random() < 0.5:
        at = int(rng.uniform(0.02, 0.2) * size[1])
        image[:, at : at + int(0.05 * size[1]) + 1] = _painted(
            hsv(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.2, 0.9)), light[:, at : at + int(0.05 * size[1]) + 1]
        )
    return image


FLOORS: dict[str, Callable[[Generator, Size], Image]] = {
    "boards": _boards,
    "sheet": _sheet,
    "plain": _plain,
    "table": _table,
    "carpet": _carpet,
}
