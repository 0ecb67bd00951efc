"""Hangers: a bent bar inside the shoulders, or a straight one with clips at a waistband; what their hook hangs on."""

import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float
from deepmark.synthetic.rendered.garment import Worn
from deepmark.synthetic.rendered.mesh import Part
from deepmark.synthetic.rendered.renderer import Layer, Material
from deepmark.synthetic.rendered.solid import Solid, bar, box, solid_layer
from deepmark.synthetic.texture import hsv, pick_color

_FORWARD = np.array([0.0, -1.0, 0.0])

_NECK, _SHOULDER = 0.055, 0.16
"""Metres from the middle: where the arms of a hanger leave the neck, and where they end at most."""

_HOOK = 0.022
"""Radius of the hook's arc, metres."""


def sample_hanger(rng: Generator, worn: Worn, number: int) -> list[Layer]:
    """The hanger of a garment that faces -y, and a rail or a peg for some."""
    radius = rng.uniform(0.002, 0.009)
    wood = rng.random() < 0.4
    color = hsv(rng.uniform(0.06, 0.1), rng.uniform(0.3, 0.6), rng.uniform(0.4, 0.85)) if wood else pick_color(rng)
    material = _of(color, rng.uniform(0.0, 0.4))
    metal = _of(hsv(0.1, 0.03, rng.uniform(0.35, 0.8)), 0.6)
    if worn.upper.panel.layer in ("lower", "skirt"):
        solids, clips, neck = _with_clips(rng, worn, radius)
    else:
        line = _shoulders(worn, rng.uniform(0.75, 1.0) * _SHOULDER) - (0, 0, radius + 0.004)
        solids, clips, neck = [bar(line, _FORWARD, radius)], [], line[len(line) // 2]
    stem = rng.uniform(0.03, 0.07)
    layers = [solid_layer(one, material, number) for one in solids]
    layers += [solid_layer(one, metal, number) for one in (*clips, _hook(neck, stem))]
    top = neck + np.array([0.0, 0.0, stem + 2 * _HOOK])
    kind = rng.random()
    if kind < 0.35:  # a rail
        thick = rng.uniform(0.006, 0.014)
        ends = top - (0, 0, thick + 0.002) + np.array([(-3.0, 0.0, 0.0), (3.0, 0.0, 0.0)])
        layers.append(solid_layer(bar(ends, _FORWARD, thick), _of(pick_color(rng), 0.3), number))
    elif kind < 0.7:  # a peg in the wall
        ends = top - (0, 0, 0.009) + np.array([(0.0, -0.02, 0.0), (0.0, 0.12, 0.0)])
        layers.append(solid_layer(bar(ends, np.array([1.0, 0.0, 0.0]), 0.007), _of(pick_color(rng), 0.2), number))
    return layers


def _of(color: tuple[int, int, int], gloss: float) -> Material:
    return Material(tile=np.full((4, 4, 3), color, np.uint8), gloss=gloss)


def _shoulders(worn: Worn, end: float) -> Float[np.ndarray, "n 3"]:
    """The ridge of the shoulders from one end to the other, and over the neck."""
    piece = worn.upper
    trunk = piece.surface.mesh.part == Part.TRUNK
    x, y, z = piece.posed[trunk].T
    at = np.linspace(_NECK, end, 8)
    highest = [int(np.argmax(np.where(np.abs(np.abs(x) - one) < 0.012, z, -np.inf))) for one in at]
    depth = float(np.median(y[highest]))
    side = np.stack([at, np.full(len(at), depth), z[highest]], axis=1)
    middle = np.array([[0.0, depth, side[0, 2] + 0.35 * _NECK]])
    return np.concatenate([side[::-1] * (-1, 1, 1), middle, side])


def _with_clips(rng: Generator, worn: Worn, radius: float) -> tuple[list[Solid], list[Solid], Float[np.ndarray, "3"]]:
    """A straight bar above a waistband, its clips, and where its hook begins."""
    cloth = worn.upper.cloth
    top = cloth[cloth[:, 2] > cloth[:, 2].max() - 0.03]
    low, high = top.min(axis=0), top.max(axis=0)
    middle = (low + high) / 2
    neck = np.array([middle[0], middle[1], high[2] + rng.uniform(0.02, 0.04)])
    half = (high[0] - low[0]) / 2
    share = rng.uniform(0.5, 0.8)
    ends = neck + np.array([(-1.0, 0.0, 0.0), (1.0, 0.0, 0.0)]) * (half * share + 0.03)
    size = (0.022, float(high[1] - low[1]) + 0.02, float(neck[2] - high[2]) + 0.05)
    clips = [box(neck + np.array([side * half * share, 0.0, 0.008 - size[2] / 2]), np.eye(3), size) for side in (-1, 1)]
    return [bar(ends, _FORWARD, max(radius, 0.004))], clips, neck


def _hook(neck: Float[np.ndarray, "3"], stem: float) -> Solid:
    """Straight upwards, then around three quarters of a circle."""
    turn = np.linspace(-np.pi / 2, np.pi, 14)
    arc = np.stack([_HOOK * np.cos(turn), np.zeros(14), stem + _HOOK + _HOOK * np.sin(turn)], axis=1)
    return bar(neck + np.concatenate([np.zeros((1, 3)), arc]), _FORWARD, 0.0018)
