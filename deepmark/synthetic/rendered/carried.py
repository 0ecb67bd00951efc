"""What a person carries before the clothes: a phone in a raised hand, or a bag that hangs from a hand or a forearm."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float
from deepmark.synthetic.rendered.figure import Person
from deepmark.synthetic.rendered.renderer import Layer, Material
from deepmark.synthetic.rendered.solid import Solid, band, box, solid_layer
from deepmark.synthetic.texture import Color, pick_color

_PHONE, _BAG = 0.12, 0.13
"""Probabilities."""

_PALM = 0.08
"""Metres from the wrist to the middle of the palm."""

_HANDLE = 0.012
"""Width of a bag's handles, metres."""


_LENS = Material(tile=np.full((4, 4, 3), 18, np.uint8), gloss=0.6)


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

    @property
    def in_hand(self) -> bool:
        return self.share == 1


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
    parts = [box(middle, axes, carried.size, carried.taper)]
    if carried.handle:
        top = middle + carried.size[2] / 2 * up
        for depth in (-0.3, 0.3):
            shift = depth * carried.taper * carried.size[1] * axes[1]
            ends = [top + shift + way * 0.28 * carried.taper * carried.size[0] * axes[0] for way in (-1, 1)]
            parts.append(band([(end, hand + 0.3 * shift) for end in ends], axes[1], _HANDLE))
    material = Material(tile=np.full((4, 4, 3), carried.color, np.uint8), gloss=carried.gloss)
    layers = [solid_layer(part, material, number) for part in parts]
    if carried.phone:
        layers.append(solid_layer(_lens(middle, axes, carried.size), _LENS, number))
    return layers


def _lens(middle: Float[np.ndarray, "3"], axes: Float[np.ndarray, "3 3"], size: tuple[float, float, float]) -> Solid:
    """The block of a phone's cameras, at an upper corner of its back."""
    aside, up = 0.5 * size[0] - 0.017, 0.5 * size[2] - 0.02
    return box(middle + aside * axes[0] + 0.5 * size[1] * axes[1] + up * axes[2], axes, (0.022, 0.003, 0.028))


def _hand(carried: Carried, bones: list[str], person: Person) -> Float[np.ndarray, "3"]:
    """Where the arm holds it, in the world."""
    elbow, wrist = (person.joints[f"{name}.{carried.side}"] for name in ("lowerarm01", "wrist"))
    way = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    rest = elbow + carried.share * (wrist + _PALM * way - elbow)
    bone = "wrist" if carried.share == 1.0 else "lowerarm01"
    moved = person.transforms[bones.index(f"{bone}.{carried.side}")]
    return moved[:3, :3] @ rest + moved[:3, 3]
