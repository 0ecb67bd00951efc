"""Clothes that nobody wears, as shops show them: one garment that lies on a ground seen from above, or hangs.

It is put on a body in a suitable pose, without the body, and its depth is pressed. What lies is turned so that the
camera above it looks along +y, as one before a wall.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float
from deepmark.synthetic.camera import Box
from deepmark.synthetic.canvas import Size
from deepmark.synthetic.rendered.design import Design, Panel, sample_design
from deepmark.synthetic.rendered.fabric import sample_fabric
from deepmark.synthetic.rendered.figure import Figure
from deepmark.synthetic.rendered.floor import shadowed
from deepmark.synthetic.rendered.garment import Piece, Worn, dress
from deepmark.synthetic.rendered.ground import Image
from deepmark.synthetic.rendered.hanger import sample_hanger
from deepmark.synthetic.rendered.light import Light
from deepmark.synthetic.rendered.mesh import Vectors
from deepmark.synthetic.rendered.pose import Pose, rotation
from deepmark.synthetic.rendered.reach import aim
from deepmark.synthetic.rendered.renderer import Layer, Rendered
from deepmark.synthetic.rendered.styles import Styles
from deepmark.synthetic.rendered.view import View, aimed_view, turn_of
from deepmark.synthetic.rendered.wearer import cloth_layer, sample_shape

_FROM_BEHIND = 0.12
"""Probability."""

_ANKLE = -0.7
"""z of the lowest end of trousers in the mean shape."""

_CLIPPED = 0.12
"""Depth of what hangs from clips, relative to that on a body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unworn:
    """A garment without a person, ready to be rendered."""

    worn: Worn
    layers: list[Layer]
    turn: tuple[float, bool]
    thickness: float
    hangs: bool


def sample_unworn(
    rng: Generator, figure: Figure, category: int, styles: Styles, *, hangs: bool, number: int, beside: int
) -> Unworn:
    """A garment of this category: its layers have this `number`, those of a hanger the number `beside`."""
    design = _above_feet(sample_design(rng, figure, category))
    person = figure.person(sample_shape(rng, styles), _pose(rng, figure, hangs=hangs))
    (worn,) = dress(figure, person, [design])
    if not hangs:
        thickness = rng.uniform(0.03, 0.06)
    elif worn.upper.panel.layer == "upper":
        thickness = rng.uniform(0.25, 0.4)
    else:
        thickness = _CLIPPED
    worn = _pressed(rng, worn, thickness, relief=0.0 if hangs else rng.uniform(0.001, 0.004))
    others = sample_hanger(rng, worn, beside) if hangs else []
    turn = (float(rng.normal(0, 12)) if hangs else 0.0, bool(rng.random() < _FROM_BEHIND))
    whole = turn_of(turn[0], from_behind=turn[1])
    worn = _moved(worn, [(piece.posed @ whole.T, piece.normals @ whole.T) for piece in worn.pieces])
    fabric = sample_fabric(rng, styles.fabrics, design.name)
    layers = [cloth_layer(piece, fabric, number, [], empty=True) for piece in worn.pieces]
    layers += [_turned(layer, whole) for layer in others]
    return Unworn(worn=worn, layers=layers, turn=turn, thickness=thickness, hangs=hangs)


def sample_unworn_view(rng: Generator, unworn: Unworn, frame: Box, size: Size) -> View:
    """A camera straight before the garment, or nearly."""
    shown = unworn.layers if rng.random() < 0.5 else unworn.layers[: len(unworn.worn.pieces)]
    points = np.concatenate([unworn.worn.cloth, *(layer.vertices[:, :3] for layer in shown[len(unworn.worn.pieces) :])])
    points = points[np.abs(points[:, 0]) < 1.0]  # a rail goes on
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    distance = float(np.ptp(points, axis=0).max()) / 2 / np.tan(np.radians(rng.uniform(22, 50)) / 2) + 0.3
    aside = distance * np.tan(np.radians(rng.normal(0, 5, 2)))
    place = middle + np.array([aside[0], -distance, aside[1]])
    if unworn.hangs:
        roll = rng.normal(0, 2.5)
    else:
        kind = rng.random()
        roll = rng.normal(0, 4) if kind < 0.75 else rng.normal(0, 20) if kind < 0.93 else rng.uniform(-180, 180)
    return aimed_view(place, middle, float(roll), points, frame, size, unworn.turn, unworn.thickness)


def with_shadow(rng: Generator, ground: Image, unworn: Unworn, rendered: Rendered, view: View, light: Light) -> Image:
    """The ground with the shadow of the garment: close to what lies, farther from what hangs before a wall."""
    away = rng.uniform(0.03, 0.15) if unworn.hangs else rng.uniform(0.003, 0.01)
    middle = np.concatenate([piece.posed for piece in unworn.worn.pieces]).mean(axis=0)
    fallen = middle - away * light.towards / max(-light.towards[1], 0.3) * (1, 0, 1)
    before, after = view.project(np.stack([middle, fallen]))[:, :2]
    unit = float(np.linalg.norm(after - before)) / max(float(np.linalg.norm(fallen - middle)), 1e-6)
    return shadowed(
        ground,
        rendered.color[..., 3] / np.float32(255),
        after - before,
        max(0.4 * away * unit, 1.0),
        rng.uniform(0.25, 0.6),
    )


def _pose(rng: Generator, figure: Figure, *, hangs: bool) -> Pose:
    """Arms in the plane of the trunk, spread or hanging, and legs a little apart."""
    pose: Pose = {}
    spread, bend = (rng.uniform(6, 14), 0.0) if hangs else (rng.uniform(25, 58), rng.normal(0, 6))
    for side, sign in (("L", 1), ("R", -1)):
        upper = spread + rng.normal(0, 1 if hangs else 3)
        lower = upper + bend + rng.normal(-2, 1 if hangs else 6)
        turns = aim(figure.mean.joints, side, _downwards(sign, upper), _downwards(sign, lower))
        pose[f"upperarm01.{side}"], pose[f"lowerarm01.{side}"] = turns
        pose[f"upperleg01.{side}"] = rotation(1, sign * (rng.uniform(-1, 2) if hangs else rng.uniform(-3, 3)))
    return pose


def _downwards(sign: int, degrees: float) -> Float[np.ndarray, "3"]:
    """Down, turned outwards."""
    return np.array([sign * np.sin(np.radians(degrees)), 0.0, -np.cos(np.radians(degrees))])


def _above_feet(design: Design) -> Design:
    """Trousers whose legs end above the ankles' bend, where cloth on a body lies on its feet."""
    return replace(design, panels=tuple(_above_feet_panel(panel) for panel in design.panels))


def _above_feet_panel(panel: Panel) -> Panel:
    if panel.layer != "lower" or panel.cut.bottom is None:
        return panel
    return replace(panel, cut=replace(panel.cut, bottom=max(panel.cut.bottom, _ANKLE)))


def _pressed(rng: Generator, worn: Worn, thickness: float, relief: float) -> Worn:
    """The garment with this share of its depth, on a ground whose height varies by `relief` metres or so."""
    waves = [(rng.uniform(8, 35, 2) * rng.choice((-1, 1), 2), rng.uniform(0, 6)) for _ in range(5)]
    found = []
    for piece in worn.pieces:
        posed, normals = piece.posed.astype(float), piece.normals.astype(float)
        height, slope = np.zeros(len(posed)), np.zeros((len(posed), 2))
        for wave, phase in waves:
            angle = posed[:, [0, 2]] @ wave + phase
            height += relief * np.sin(angle)
            slope += relief * np.cos(angle)[:, None] * wave
        deep = normals[:, 1] / thickness
        normals = np.stack([normals[:, 0] - slope[:, 0] * deep, deep, normals[:, 2] - slope[:, 1] * deep], axis=1)
        posed[:, 1] = thickness * posed[:, 1] + height
        found.append((posed, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)))
    return _moved(worn, found)


def _moved(worn: Worn, places: list[tuple[Vectors, Vectors]]) -> Worn:
    pieces: list[Piece] = [
        replace(piece, posed=posed.astype(np.float32), normals=normals.astype(np.float32))
        for piece, (posed, normals) in zip(worn.pieces, places, strict=True)
    ]
    return replace(worn, pieces=tuple(pieces))


def _turned(layer: Layer, whole: Float[np.ndarray, "3 3"]) -> Layer:
    vertices = layer.vertices.copy()
    for first in (0, 3):
        vertices[:, first : first + 3] = vertices[:, first : first + 3] @ whole.T
    return replace(layer, vertices=vertices)
