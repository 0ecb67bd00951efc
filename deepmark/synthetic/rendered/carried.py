"""What a person carries before the clothes: a phone in a raised hand, or a bag that hangs from a hand or a forearm."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float, Int
from deepmark.synthetic.rendered.cut import no_edges
from deepmark.synthetic.rendered.figure import Person
from deepmark.synthetic.rendered.mesh import Vectors
from deepmark.synthetic.rendered.renderer import Layer, Material
from deepmark.synthetic.texture import Color, pick_color

_PHONE, _BAG = 0.06, 0.14
"""Probabilities."""

_PALM = 0.08
"""Metres from the wrist to the middle of the palm."""

_GIRTH = 0.1
"""Radius by which a fabric goes around a bag, metres."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """A box, and the arm that holds it."""

    phone: bool
    side: str
    """L or R: the wearer's."""

    size: tuple[float, float, float]
    """Width, depth and height, metres."""

    taper: float
    """Width and depth of the upper end, relative to those of the lower end."""

    handle: float
    """Metres from the hand to the upper end; 0 for what is held itself."""

    share: float
    """Where it hangs: 0 at the elbow, 1 in the palm."""

    turn: float
    """Of the broad side, radians from where the figure faces."""

    color: Color
    gloss: float


def sample_carried(rng: Generator) -> Carried | None:
    """Something to carry, or nothing."""
    kind, side, color = rng.random(), str(rng.choice(("L", "R"))), pick_color(rng)
    if kind < _PHONE:
        size = (rng.uniform(0.068, 0.08), 0.009, rng.uniform(0.14, 0.165))
        turn = rng.normal(0, 0.15)
        return Carried(
            phone=True, side=side, size=size, taper=1.0, handle=0.0, share=1.0, turn=turn, color=color, gloss=0.4
        )
    if kind < _PHONE + _BAG:
        return Carried(
            phone=False,
            side=side,
            size=(rng.uniform(0.2, 0.38), rng.uniform(0.06, 0.14), rng.uniform(0.15, 0.36)),
            taper=rng.uniform(0.75, 1.05),
            handle=rng.uniform(0.06, 0.22),
            share=1.0 if rng.random() < 0.7 else rng.uniform(0.15, 0.5),
            turn=rng.uniform(0.2, 1.57),
            color=color,
            gloss=rng.uniform(0.0, 0.3),
        )
    return None


def carried_layers(
    carried: Carried, bones: list[str], person: Person, facing: Float[np.ndarray, "3 3"], number: int
) -> list[Layer]:
    """The box and its handles; `bones` are the figure's, `facing` turns it from facing -y."""
    hand = _hand(carried, bones, person)
    front, up = facing @ (0.0, -1.0, 0.0), np.array([0.0, 0.0, 1.0])
    across = np.cross(up, front)
    sign = 1 if carried.side == "L" else -1  # the broad side of a bag looks away from the body
    normal = np.cos(carried.turn) * front + np.sin(carried.turn) * sign * across
    axes = np.stack([np.cross(up, normal), normal, up])
    middle = hand + (0.025 * front + 0.03 * up if carried.phone else -(carried.handle + carried.size[2] / 2) * up)
    parts = [_box(middle, axes, carried.size, carried.taper)]
    if carried.handle:
        top = middle + carried.size[2] / 2 * up
        for depth in (-0.3, 0.3):
            shift = depth * carried.taper * carried.size[1] * axes[1]
            ends = [top + shift + way * 0.28 * carried.taper * carried.size[0] * axes[0] for way in (-1, 1)]
            parts.append(_handle(ends, hand + 0.3 * shift, axes[1]))
    return [_layer(*part, carried, number) for part in parts]


def _hand(carried: Carried, bones: list[str], person: Person) -> Float[np.ndarray, "3"]:
    """Where the arm holds it, in the world."""
    elbow, wrist = (person.joints[f"{name}.{carried.side}"] for name in ("lowerarm01", "wrist"))
    way = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    rest = elbow + carried.share * (wrist + _PALM * way - elbow)
    bone = "wrist" if carried.share == 1.0 else "lowerarm01"
    moved = person.transforms[bones.index(f"{bone}.{carried.side}")]
    return moved[:3, :3] @ rest + moved[:3, 3]


def _box(
    middle: Float[np.ndarray, "3"], axes: Float[np.ndarray, "3 3"], size: tuple[float, float, float], taper: float
) -> tuple[Vectors, Vectors, Int[np.ndarray, "t 3"]]:
    """The corners of its six faces, four each, with normals."""
    points, normals = [], []
    for axis in range(3):
        for side in (-1, 1):
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                corner = np.insert(np.array([a, b], float), axis, side) * size / 2
                corner[:2] *= taper if corner[2] > 0 else 1.0
                points.append(middle + corner @ axes)
                normals.append(side * axes[axis])
    faces = np.arange(24).reshape(6, 4)
    return np.array(points), np.array(normals), np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])


def _handle(
    ends: list[Float[np.ndarray, "3"]], hand: Float[np.ndarray, "3"], normal: Float[np.ndarray, "3"]
) -> tuple[Vectors, Vectors, Int[np.ndarray, "t 3"]]:
    """A band from one end through the hand to the other, 12 mm wide."""
    points: list[np.ndarray] = []
    quads = []
    for end in ends:
        way = hand - end
        side = np.cross(normal, way)
        side *= 0.006 / np.linalg.norm(side)
        first = len(points)
        points += [end - side, end + side, hand + side, hand - side]
        quads += [[first, first + 1, first + 2], [first, first + 2, first + 3]]
    return np.array(points), np.tile(normal, (len(points), 1)), np.array(quads)


def _layer(
    points: Vectors, normals: Vectors, triangles: Int[np.ndarray, "t 3"], carried: Carried, number: int
) -> Layer:
    angle = (points[:, 0] - points[:, 0].mean()) / _GIRTH
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    along = np.stack([points[:, 2], np.full(len(points), _GIRTH)], axis=1)
    parts = [points, normals, no_edges(len(points)), around, along, np.ones((len(points), 3))]
    tile = np.full((4, 4, 3), carried.color, np.uint8)
    return Layer(
        number=number,
        vertices=np.concatenate(parts, axis=1).astype(np.float32),
        triangles=triangles,
        material=Material(tile=tile, gloss=carried.gloss),
    )
