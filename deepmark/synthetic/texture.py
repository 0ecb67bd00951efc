"""Colours and patterns of cloth: small square tiles that repeat without a seam."""

import colorsys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float, UInt8

TILE = 192
"""Side of a tile, pixels; it covers one shoulder width of cloth."""

Color = tuple[int, int, int]
Tile = UInt8[np.ndarray, "t t 3"]

_REPEATS = (4, 6, 8, 12)
"""Stripes, checks or dots per tile; all divide TILE, so that the pattern repeats without a seam."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Texture:
    """The cloth of a garment: its pattern and the colours of its details."""

    tile: Tile
    trim: Color
    """Colour of neckline, waistband and buttons."""

    seam: Color
    """Colour of edges and hems: a darker shade of the cloth."""


def hsv(hue: float, saturation: float, value: float) -> Color:
    """RGB bytes of a colour whose hue, saturation and value are in 0..1; the hue wraps."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return int(255 * red), int(255 * green), int(255 * blue)


def pick_kind(rng: Generator, shares: Mapping[str, float]) -> str:
    """One of the kinds, each as often as its share says."""
    return str(rng.choice(list(shares), p=list(shares.values())))


def pick_color(rng: Generator, *, strength: float = 1.0) -> Color:
    """A random colour of clothes, greys and denim included; a lower `strength` gives paler ones."""
    kind = rng.random()
    if kind < 0.25:
        return hsv(rng.random(), 0.1 * rng.random(), rng.uniform(0.12, 0.97))
    if kind < 0.4:
        return hsv(rng.uniform(0.56, 0.66), strength * rng.uniform(0.3, 0.8), rng.uniform(0.25, 0.8))
    return hsv(rng.random(), strength * rng.uniform(0.35, 0.95), rng.uniform(0.35, 0.95))


def shaded(color: Color, light: float) -> Color:
    """The colour in more (`light` > 1) or less light."""
    red, green, blue = (min(int(channel * light), 255) for channel in color)
    return red, green, blue


def blend(color: Color, other: Color, share: float) -> Color:
    """The mixture of two colours; `share` is that of the other."""
    red, green, blue = (int(a + share * (b - a)) for a, b in zip(color, other, strict=True))
    return red, green, blue


def _plain(rng: Generator, tile: Tile, ink: Color) -> None:
    """Leaves the tile in one colour, as most clothes are."""


def _stripes(rng: Generator, tile: Tile, ink: Color) -> None:
    period = TILE // int(rng.choice(_REPEATS))
    rows = np.arange(TILE) % period < period * rng.uniform(0.2, 0.6)
    tile[rows] = ink
    if rng.random() < 0.35:
        tile[:] = tile.transpose(1, 0, 2).copy()


def _checks(rng: Generator, tile: Tile, ink: Color) -> None:
    period = TILE // int(rng.choice(_REPEATS))
    band = np.arange(TILE) % period < period * rng.uniform(0.25, 0.5)
    depth = band[:, None].astype(np.float32) + band[None]
    tile[:] = tile + (depth[..., None] / 2) * (np.array(ink, np.float32) - tile)


def _dots(rng: Generator, tile: Tile, ink: Color) -> None:
    period = TILE // int(rng.choice(_REPEATS))
    radius = max(2, int(period * rng.uniform(0.15, 0.35)))
    for row in range(TILE // period):
        for x in range((row % 2) * period // 2, TILE + period, period):
            cv2.circle(tile, (x, row * period + period // 2), radius, ink, -1, cv2.LINE_AA)


def _melange(rng: Generator, tile: Tile, ink: Color) -> None:
    grain = rng.integers(-26, 26, (TILE, TILE, 1))
    tile[:] = np.clip(tile + grain, 0, 255)


def _clouds(rng: Generator, tile: Tile, ink: Color) -> None:
    coarse = rng.random((6, 6), dtype=np.float32)
    wrapped = np.pad(coarse, 2, mode="wrap")
    smooth = cv2.resize(wrapped, None, fx=TILE / 6, fy=TILE / 6, interpolation=cv2.INTER_CUBIC)
    edge = 2 * TILE // 6
    share = np.clip(smooth[edge : edge + TILE, edge : edge + TILE, None], 0, 1)
    tile[:] = tile + share * (np.array(ink, np.float32) - tile)


def _blossoms(rng: Generator, tile: Tile, ink: Color) -> None:
    for _ in range(rng.integers(8, 22)):
        center, radius = rng.integers(0, TILE, 2), int(rng.integers(6, 18))
        color = shaded(ink, rng.uniform(0.7, 1.2))
        for x in (-TILE, 0, TILE):
            for y in (-TILE, 0, TILE):
                cv2.circle(tile, (int(center[0]) + x, int(center[1]) + y), radius, color, -1, cv2.LINE_AA)


PATTERNS: dict[str, Callable[[Generator, Tile, Color], None]] = {
    "plain": _plain,
    "melange": _melange,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "clouds": _clouds,
    "blossoms": _blossoms,
}
"""Each draws itself on a tile of the colour of the ground."""

_SHARES = (0.34, 0.14, 0.16, 0.1, 0.09, 0.07, 0.1)
"""Of clothes, in the order of the patterns."""


def sample_texture(rng: Generator, *, strength: float = 1.0) -> Texture:
    """A random texture; a `strength` below 1 gives faint patterns, for walls and floors."""
    ground, ink = pick_color(rng, strength=strength), pick_color(rng, strength=strength)
    if strength < 1:
        ink = blend(ground, ink, strength)
    tile = np.full((TILE, TILE, 3), ground, np.uint8)
    list(PATTERNS.values())[rng.choice(len(PATTERNS), p=_SHARES)](rng, tile, ink)
    trim = ink if rng.random() < 0.4 else shaded(ground, 0.7)
    return Texture(tile=tile, trim=trim, seam=shaded(ground, 0.5))


def fold_light(rng: Generator, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """Light on hanging cloth, 0..255 with 220 for full light: soft folds, darker towards both sides."""
    across = 1 - 0.28 * np.abs(np.linspace(-1, 1, 14)) ** 3
    light = 220 * across * rng.uniform(0.8, 1.08, (5, 14))
    coarse = np.clip(light, 0, 255).astype(np.uint8)
    return cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)


def tile_texture(
    tile: Tile,
    size: tuple[int, int],
    axes: Float[np.ndarray, "2 2"],
    light: UInt8[np.ndarray, "h w"] | None,
) -> UInt8[np.ndarray, "h w 3"]:
    """An image of `size` filled with the tile; column j of `axes` is the image of the tile's axis j."""
    affine = np.concatenate([axes, [[size[1] / 2], [size[0] / 2]]], axis=1)
    cloth = cv2.warpAffine(tile, affine, (size[1], size[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    if light is None:
        return cloth
    return cv2.multiply(cloth, cv2.merge([light, light, light]), scale=1 / 220)
