"""Fabrics: tiles of cloth that repeat, and how the surface takes light."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from deepmark.synthetic.rendered.renderer import Material
from deepmark.synthetic.texture import PATTERNS, TILE, Color, Tile, hsv, pick_color, pick_kind, shaded

_BUTTONED = {"outwear": 0.55, "sleeve": 0.2}
"""Probability of a row of buttons, by a word in the name of the category."""


def sample_fabric(rng: Generator, shares: dict[str, float], garment: str = "") -> Material:
    """A fabric of one of these kinds, with buttons where a garment of this name has some."""
    kind = pick_kind(rng, shares)
    tile = np.full((TILE, TILE, 3), pick_color(rng), np.uint8)
    if kind in PATTERNS:
        PATTERNS[kind](rng, tile, pick_color(rng))
    else:
        tile[:] = _dyed(rng, kind)
        _OWN[kind](rng, tile, pick_color(rng))
    grain = rng.normal(0, rng.uniform(1, 5), (TILE, TILE, 1))
    return Material(
        tile=np.clip(tile + grain, 0, 255).astype(np.uint8),
        repeat=rng.uniform(0.22, 0.5),
        bump=rng.uniform(0.008, 0.035) * (0.5 if kind in ("denim", "leather") else 1),
        wrinkle=rng.uniform(0.4, 0.8),
        gloss=rng.uniform(*((0.15, 0.45) if kind == "leather" else (0.05, 0.35) if rng.random() < 0.12 else (0, 0))),
        hem=rng.uniform(0.01, 0.025) if rng.random() < 0.7 else 0.0,
        buttons=rng.uniform(0.06, 0.12) if rng.random() < _buttoned(garment) else 0.0,
        button=float(rng.choice((0.03, 0.15, 0.6, 0.85))),
        seam=rng.uniform(0.15, 0.5) if rng.random() < 0.6 else 0.0,
    )


def _buttoned(garment: str) -> float:
    return next((share for word, share in _BUTTONED.items() if word in garment), 0.0)


def _dyed(rng: Generator, kind: str) -> Color:
    """The ground of a fabric whose colour goes with its kind."""
    if kind == "denim":
        return hsv(rng.uniform(0.57, 0.64), rng.uniform(0.25, 0.7), rng.uniform(0.2, 0.75))
    if kind == "leather":
        return hsv(rng.uniform(0.0, 0.1), rng.uniform(0.0, 0.7), rng.uniform(0.08, 0.5))
    return pick_color(rng)


def _leather(rng: Generator, tile: Tile, ink: Color) -> None:
    """Fine grain; the shine is not in the tile."""
    coarse = np.pad(rng.normal(0, 1, (TILE // 2, TILE // 2)).astype(np.float32), 2, mode="wrap")
    grain = cv2.resize(coarse, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)[4 : TILE + 4, 4 : TILE + 4]
    tile[:] = np.clip(tile * (1 + 0.13 * grain[..., None]), 0, 255)


def _lace(rng: Generator, tile: Tile, ink: Color) -> None:
    """Light threads on a darker lining: a net, and flowers in it."""
    thread = np.array(tile[0, 0], float) * 0.35 + 165
    tile[:] = tile * rng.uniform(0.35, 0.6)
    x, y = np.meshgrid(np.arange(TILE), np.arange(TILE))
    period = TILE // int(rng.choice((24, 32)))
    net = (((x + y) % period) < 1.5) | (((x - y) % period) < 1.5)
    tile[net] = 0.6 * tile[net] + 0.4 * thread
    step = TILE // int(rng.choice((2, 3)))
    petals, size = int(rng.integers(4, 8)), step * rng.uniform(0.28, 0.42)
    for row in range(TILE // step):
        for column in range(TILE // step):
            far_x = (x - (column + 0.5 * (row % 2) + 0.25) * step + TILE / 2) % TILE - TILE / 2
            far_y = (y - (row + 0.5) * step + TILE / 2) % TILE - TILE / 2
            radius = np.hypot(far_x, far_y) / (size * (0.7 + 0.3 * np.cos(petals * np.arctan2(far_y, far_x))))
            flower = (radius < 1) & ((radius > 0.78) | (radius < 0.35) | (np.sin(9 * radius) > 0.4))
            tile[flower] = thread


def _denim(rng: Generator, tile: Tile, ink: Color) -> None:
    """A twill of dark and light threads, worn in places."""
    x, y = np.meshgrid(np.arange(TILE), np.arange(TILE))
    twill = 14 * (((x + y) % 6) < 3) - 7 + rng.normal(0, 9, (TILE, TILE))
    worn = cv2.resize(np.pad(rng.random((5, 5)), 1, mode="wrap"), (TILE, TILE), interpolation=cv2.INTER_CUBIC)
    tile[:] = np.clip(tile + (twill + 22 * (worn - 0.5))[..., None], 0, 255)


def _knit(rng: Generator, tile: Tile, ink: Color) -> None:
    """Columns of slanted stitches."""
    period = TILE // int(rng.choice((16, 24, 32)))
    x, y = np.meshgrid(np.arange(TILE), np.arange(TILE))
    slant = np.abs((x % period) - period / 2) + y
    light = 0.72 + 0.28 * np.cos(2 * np.pi * slant / period) * np.abs(np.sin(2 * np.pi * x / period))
    tile[:] = np.clip(tile * light[..., None], 0, 255)


def _print(rng: Generator, tile: Tile, ink: Color) -> None:
    """Large shapes and letters in a few inks."""
    for _ in range(rng.integers(3, 9)):
        color = shaded(ink, rng.uniform(0.6, 1.4)) if rng.random() < 0.6 else pick_color(rng)
        center = tuple(int(one) for one in rng.integers(25, TILE - 25, 2))
        kind = rng.integers(3)
        if kind == 0:
            corners = rng.integers(-22, 22, (int(rng.integers(3, 6)), 2)) + center
            cv2.fillPoly(tile, [corners.astype(np.int32)], color, cv2.LINE_AA)
        elif kind == 1:
            cv2.ellipse(tile, center, (int(rng.integers(5, 22)), int(rng.integers(5, 22))), 0, 0, 360, color, -1)
        else:
            letter = chr(int(rng.integers(65, 91)))
            cv2.putText(tile, letter, (center[0] - 12, center[1] + 12), cv2.FONT_HERSHEY_DUPLEX, 1.2, color, 3)


_OWN: dict[str, Callable[[Generator, Tile, Color], None]] = {
    "denim": _denim,
    "knit": _knit,
    "lace": _lace,
    "leather": _leather,
    "print": _print,
}

FABRICS = frozenset(PATTERNS | _OWN)
"""The kinds of fabrics."""
