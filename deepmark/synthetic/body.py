"""The wearer: a pose, and body parts as polygons in shoulder widths."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.random import Generator

from deepmark.synthetic.garment_shape import ELBOW, Arm, Point, Points, direction
from deepmark.synthetic.texture import Color, hsv, shaded

_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 17)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 17)[:-1])], axis=1)

Part = tuple[Points, Color]
"""A polygon and its colour."""


def point(x: float, y: float) -> Point:
    """A point or a shift."""
    return np.array([x, y])


_HEAD = point(0.0, -0.46)

FOLDED = 0.7
"""Radians; if the elbow is bent more, the forearm lies before the clothes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """The pose and the colours of the wearer; arms are left and right in the image."""

    arms: tuple[Arm, Arm]
    skin: Color
    hair: Color
    long_hair: bool

    @property
    def shade(self) -> Color:
        """The darker colour of skin that lies farther back."""
        return shaded(self.skin, 0.9)


@dataclass(kw_only=True, slots=True)
class BodyShape:
    """The body as far as the clothes determine it: shoulder joints, waist, half of its width, and ankles."""

    joints: list[Point] = field(default_factory=lambda: [point(-0.43, 0.16), point(0.43, 0.16)])
    waist: float = 0.95
    half_width: float = 0.33
    ankles: list[Point] = field(default_factory=lambda: [point(-0.24, 3.1), point(0.24, 3.1)])


def sample_pose(rng: Generator, *, bare_forearms: bool) -> Pose:
    """A random pose; only bare forearms may be folded before the body."""
    bends = rng.uniform(-0.1, 0.6, 2) + (rng.random(2) < 0.2) * bare_forearms * rng.uniform(0.5, 1.3, 2)
    lifts = rng.uniform(0.12, 0.8, 2)
    arms = [Arm(lift=float(lift), bend=float(bend)) for lift, bend in zip(lifts, bends, strict=True)]
    return Pose(
        arms=(arms[0], arms[1]),
        skin=hsv(rng.uniform(0.045, 0.085), rng.uniform(0.25, 0.6), rng.uniform(0.4, 0.97)),
        hair=hsv(rng.uniform(0.03, 0.13), rng.uniform(0.1, 0.7), rng.uniform(0.08, 0.6)),
        long_hair=bool(rng.random() < 0.4),
    )


def ellipse(center: Point, radii: tuple[float, float]) -> Points:
    """An ellipse as a polygon of 16 corners."""
    return center + _CIRCLE * radii


def limb(start: Point, end: Point, thick: float, thin: float) -> Points:
    """A tapering limb with round ends; `thick` and `thin` are their radii."""
    rounds = np.concatenate([start + thick * _CIRCLE, end + thin * _CIRCLE]).astype(np.float32)
    return cv2.convexHull(rounds)[:, 0].astype(np.float64)


def body_parts(pose: Pose, body_shape: BodyShape, *, from_behind: bool) -> tuple[list[Part], list[Part]]:
    """The parts of the body under the clothes, and those before them: folded forearms and long hair."""
    folded = [not from_behind and arm.bend > FOLDED for arm in pose.arms]
    under = _legs(pose, body_shape)
    over: list[Part] = []
    for side, bent in zip((0, 1), folded, strict=True):
        upper_arm, *forearm = _arm(pose, body_shape, side)
        under.append(upper_arm)
        (over if bent else under).extend(forearm)
    under += [(_torso(body_shape), pose.skin), *_head(pose, from_behind)]
    if pose.long_hair:
        over += _long_hair(pose, from_behind)
    return under, over


def _legs(pose: Pose, body_shape: BodyShape) -> list[Part]:
    parts: list[Part] = []
    for side, ankle in zip((-1, 1), body_shape.ankles, strict=True):
        hip = point(side * 0.16, body_shape.waist + 0.4)
        knee = (hip + ankle) / 2
        parts += [(limb(hip, knee, 0.17, 0.11), pose.shade), (limb(knee, ankle, 0.11, 0.06), pose.shade)]
        parts.append((ellipse(ankle + point(side * 0.05, 0.08), (0.12, 0.07)), shaded(pose.hair, 0.8)))
    return parts


def _arm(pose: Pose, body_shape: BodyShape, side: int) -> list[Part]:
    """Upper arm, forearm and hand on the left (0) or the right (1) of the image."""
    arm, joint = pose.arms[side], body_shape.joints[side]
    outwards = point(1.0 - 2 * side, 1.0)
    upper, fore = direction(arm.lift) * outwards, direction(arm.lift - arm.bend) * outwards
    elbow = joint + ELBOW * upper
    wrist = elbow + 0.55 * fore
    return [
        (limb(joint, elbow, 0.1, 0.075), pose.shade),
        (limb(elbow, wrist, 0.075, 0.05), pose.skin),
        (ellipse(wrist + 0.13 * fore, (0.07, 0.085)), pose.skin),
    ]


def _torso(body_shape: BodyShape) -> Points:
    left, right = body_shape.joints
    half_width, waist = body_shape.half_width, body_shape.waist
    hips = [(half_width, 0.45), (0.9 * half_width, waist - 0.1), (half_width, waist + 0.35), (0.15, waist + 0.6)]
    shoulders = [left + point(0.05, -0.03), (-0.1, -0.02), (0.1, -0.02), right - point(0.05, 0.03)]
    return np.array([*((-x, y) for x, y in reversed(hips)), *shoulders, *hips])


def _head(pose: Pose, from_behind: bool) -> list[Part]:
    neck, skull = (
        (limb(point(0.0, -0.3), point(0.0, 0.06), 0.1, 0.11), pose.shade),
        (ellipse(_HEAD, (0.2, 0.27)), pose.skin),
    )
    if from_behind:
        return [neck, skull, (ellipse(_HEAD - point(0.0, 0.02), (0.22, 0.28)), pose.hair)]
    behind = [(ellipse(_HEAD + point(0.0, 0.12), (0.27, 0.42)), pose.hair)] if pose.long_hair else []
    cap = ellipse(_HEAD - point(0.0, 0.08), (0.22, 0.24))
    fringe = (cap[cap[:, 1] < _HEAD[1] - 0.06], pose.hair)
    eyes = [(ellipse(_HEAD + point(x, -0.02), (0.028, 0.02)), (40, 30, 30)) for x in (-0.08, 0.08)]
    mouth = (ellipse(_HEAD + point(0.0, 0.14), (0.06, 0.018)), shaded(pose.skin, 0.6))
    return [*behind, neck, skull, fringe, *eyes, mouth]


def _long_hair(pose: Pose, from_behind: bool) -> list[Part]:
    """Hair that falls over the shoulders, or down the back."""
    if from_behind:
        return [(ellipse(_HEAD + point(0.0, 0.3), (0.2, 0.42)), pose.hair)]
    return [(limb(_HEAD + point(x, 0.0), _HEAD + point(1.15 * x, 0.62), 0.05, 0.06), pose.hair) for x in (-0.21, 0.21)]
