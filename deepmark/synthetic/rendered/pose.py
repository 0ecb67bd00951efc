"""Poses: rotations of bones about the axes of the body at rest, whose arms hang at 40 degrees."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float
from deepmark.synthetic.rendered.reach import closed_hand, reach
from deepmark.synthetic.rendered.styles import Styles

Pose = dict[str, Float[np.ndarray, "3 3"]]


def rotation(axis: int, degrees: float) -> Float[np.ndarray, "3 3"]:
    """About the x, y or z axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
    return matrix


def sample_pose(rng: Generator, styles: Styles, *, bends: bool) -> Pose:
    """A person who stands, walks or, where `bends` allows it, sits, runs or crouches, with arms as people hold them."""
    kind = str(rng.choice(list(_LEGS), p=styles.legs))
    legs = _LEGS["standing" if kind in _BENT_LEGS and not bends else kind]
    pose: Pose = {"root": rotation(1, rng.normal(0, styles.lean)) @ rotation(0, rng.normal(0, styles.lean))}
    legs(rng, pose)
    both = rng.choice(list(_ARMS), p=styles.arms)
    for side, sign in (("L", 1), ("R", -1)):
        kind = both if rng.random() < 0.6 else rng.choice(list(_ARMS), p=styles.arms)
        _ARMS[kind](rng, pose, side, sign)
    pose["spine03"] = rotation(2, rng.normal(0, 5)) @ rotation(1, rng.normal(0, 3)) @ rotation(0, rng.normal(0, 4))
    pose["neck02"] = rotation(2, rng.normal(0, 15)) @ rotation(0, rng.normal(6, 8)) @ rotation(1, rng.normal(0, 5))
    return pose


def _standing(rng: Generator, pose: Pose) -> None:
    for side, sign in (("L", 1), ("R", -1)):
        pose[f"upperleg01.{side}"] = rotation(1, sign * rng.uniform(-2, 9)) @ rotation(0, rng.normal(0, 3))
        pose[f"lowerleg01.{side}"] = rotation(0, abs(rng.normal(0, 4)))


def _walking(rng: Generator, pose: Pose) -> None:
    step = rng.uniform(8, 26) * rng.choice((-1, 1))
    for side, sign in (("L", 1), ("R", -1)):
        pose[f"upperleg01.{side}"] = rotation(1, sign * rng.uniform(3, 7)) @ rotation(0, sign * step)
        pose[f"lowerleg01.{side}"] = rotation(0, rng.uniform(2, 10) + max(sign * step, 0))


def _shifted(rng: Generator, pose: Pose) -> None:
    """The weight on one leg, the other one bent."""
    free = rng.choice(("L", "R"))
    _standing(rng, pose)
    sign = 1 if free == "L" else -1
    pose[f"upperleg01.{free}"] = rotation(1, sign * rng.uniform(-4, 6)) @ rotation(0, -rng.uniform(8, 22))
    pose[f"lowerleg01.{free}"] = rotation(0, rng.uniform(15, 35))
    pose["root"] = pose["root"] @ rotation(1, sign * rng.uniform(1, 4))


def _running(rng: Generator, pose: Pose) -> None:
    """One thigh forward, the other one back, both knees bent, the body leaning forward."""
    step = rng.uniform(25, 55)
    front = rng.choice(("L", "R"))
    for side, sign in (("L", 1), ("R", -1)):
        turn, knee = (-step, rng.uniform(15, 80)) if side == front else (0.5 * step, rng.uniform(30, 95))
        pose[f"upperleg01.{side}"] = rotation(1, sign * rng.uniform(0, 7)) @ rotation(0, turn)
        pose[f"lowerleg01.{side}"] = rotation(0, knee)
    pose["root"] = pose["root"] @ rotation(0, rng.uniform(0, 18))


def _crouching(rng: Generator, pose: Pose) -> None:
    for side, sign in (("L", 1), ("R", -1)):
        bend = rng.uniform(75, 110)
        pose[f"upperleg01.{side}"] = rotation(0, -bend) @ rotation(1, sign * rng.uniform(-12, 4))
        pose[f"lowerleg01.{side}"] = rotation(0, rng.uniform(85, 125))
    pose["root"] = pose["root"] @ rotation(0, rng.uniform(10, 40))


def _sitting(rng: Generator, pose: Pose) -> None:
    for side, sign in (("L", 1), ("R", -1)):
        bend = rng.uniform(70, 92)
        pose[f"upperleg01.{side}"] = rotation(0, -bend) @ rotation(1, sign * rng.uniform(0, 6))
        pose[f"lowerleg01.{side}"] = rotation(0, bend + rng.uniform(-15, 10))


def _hanging(rng: Generator, pose: Pose, side: str, sign: int) -> None:
    swing = rotation(0, rng.normal(-2, 8))
    pose[f"upperarm01.{side}"] = swing @ rotation(1, sign * rng.uniform(18, 34))
    pose[f"lowerarm01.{side}"] = rotation(0, rng.uniform(-12, 20))


def _bent(rng: Generator, pose: Pose, side: str, sign: int) -> None:
    """The forearm forward, as with a phone or a bag."""
    pose[f"upperarm01.{side}"] = rotation(0, rng.uniform(-15, 10)) @ rotation(1, sign * rng.uniform(20, 32))
    pose[f"lowerarm01.{side}"] = rotation(2, -sign * rng.uniform(0, 35)) @ rotation(0, -rng.uniform(45, 95))


def _on_hip(rng: Generator, pose: Pose, side: str, sign: int) -> None:
    pose[f"upperarm01.{side}"] = rotation(0, rng.uniform(10, 25)) @ rotation(1, sign * rng.uniform(-4, 8))
    pose[f"lowerarm01.{side}"] = rotation(1, sign * rng.uniform(75, 95)) @ rotation(0, rng.uniform(15, 30))


def _spread(rng: Generator, pose: Pose, side: str, sign: int) -> None:
    pose[f"upperarm01.{side}"] = rotation(0, rng.normal(0, 10)) @ rotation(1, sign * rng.uniform(-25, 12))
    pose[f"lowerarm01.{side}"] = rotation(0, rng.uniform(-30, 10))


def _raised(rng: Generator, pose: Pose, side: str, sign: int) -> None:
    """The hand near the head."""
    pose[f"upperarm01.{side}"] = rotation(1, -sign * rng.uniform(40, 75))
    pose[f"lowerarm01.{side}"] = rotation(1, -sign * rng.uniform(60, 110))


def _overhead(rng: Generator, pose: Pose, side: str, sign: int) -> None:
    pose[f"upperarm01.{side}"] = rotation(1, -sign * rng.uniform(75, 115))
    pose[f"lowerarm01.{side}"] = rotation(1, -sign * rng.uniform(-10, 45))


def _forward(rng: Generator, pose: Pose, side: str, sign: int) -> None:
    pose[f"upperarm01.{side}"] = rotation(0, -rng.uniform(35, 85)) @ rotation(1, sign * rng.uniform(20, 34))
    pose[f"lowerarm01.{side}"] = rotation(0, -rng.uniform(0, 45))


def hold_up(rng: Generator, pose: Pose, joints: Mapping[str, Float[np.ndarray, "3"]], side: str) -> None:
    """The hand before the chest or the face, and the face towards it, as with a phone before a mirror."""
    sign = 1 if side == "L" else -1
    height = rng.uniform(0.46, 0.62) if rng.random() < 0.55 else rng.uniform(0.25, 0.46)
    wrist = np.array([sign * rng.uniform(0.02, 0.14), -rng.uniform(0.24, 0.38), height])
    elbow = np.array([sign * rng.uniform(0.2, 0.8), rng.uniform(-0.2, 0.3), -1.0])
    pose[f"upperarm01.{side}"], pose[f"lowerarm01.{side}"] = reach(joints, side, wrist, elbow)
    pose["neck02"] = rotation(2, sign * rng.uniform(-5, 12)) @ rotation(0, rng.normal(6, 5))


def cross_arms(rng: Generator, pose: Pose, joints: Mapping[str, Float[np.ndarray, "3"]]) -> None:
    """Both forearms before the chest, one over the other."""
    over, height = rng.choice(("L", "R")), rng.uniform(0.18, 0.28)
    for side, sign in (("L", 1), ("R", -1)):
        before, above = (0.04, 0.05) if side == over else (0.0, 0.0)
        wrist = np.array([-sign * rng.uniform(0.0, 0.06), -rng.uniform(0.22, 0.26) - before, height + above])
        elbow = np.array([sign * 0.6, rng.uniform(-0.1, 0.2), -1.0])
        pose[f"upperarm01.{side}"], pose[f"lowerarm01.{side}"] = reach(joints, side, wrist, elbow)


def close_hands(rng: Generator, pose: Pose, joints: Mapping[str, Float[np.ndarray, "3"]], holding: str | None) -> None:
    """Fingers as they hang, and around what the hand of the side `holding` holds."""
    for side in "LR":
        bend = rng.uniform(40, 60) if side == holding else rng.uniform(0, 35)
        pose |= closed_hand(joints, side, np.radians(bend), rng.uniform(0.3, 1))


_LEGS: dict[str, Callable[[Generator, Pose], None]] = {
    "standing": _standing,
    "walking": _walking,
    "shifted": _shifted,
    "sitting": _sitting,
    "running": _running,
    "crouching": _crouching,
}

_BENT_LEGS = "sitting", "running", "crouching"

_ARMS: dict[str, Callable[[Generator, Pose, str, int], None]] = {
    "hanging": _hanging,
    "bent": _bent,
    "on hip": _on_hip,
    "spread": _spread,
    "raised": _raised,
    "overhead": _overhead,
    "forward": _forward,
}
