"""Turns of arms, so that wrists get to a place or bones have given directions; and of the fingers of a closed hand."""

from collections.abc import Mapping

import numpy as np

from deepmark.shapes import Float

Vector = Float[np.ndarray, "3"]


Turns = tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3 3"]]
"""Rotations of the upper arm and of the lower arm."""

_BONES = ("upperarm01", "lowerarm01", "wrist")


def aim(joints: Mapping[str, Vector], side: str, upper: Vector, lower: Vector) -> Turns:
    """As `reach`: the upper arm in one direction, the lower arm in another, with as little twist as possible."""
    shoulder, middle, wrist = (joints[f"{name}.{side}"] for name in _BONES)
    first = _from_to(middle - shoulder, upper)
    return first, _from_to(wrist - middle, first.T @ lower)


def reach(joints: Mapping[str, Vector], side: str, target: Vector, elbow: Vector) -> Turns:
    """The turns of the arm of a side, L or R, about the axes of the rest.

    `joints` are those of the body at rest; `target` is where the wrist gets to, as near as the arm is long; `elbow` is
    roughly the direction to which the elbow looks.
    """
    shoulder, middle, wrist = (joints[f"{name}.{side}"] for name in _BONES)
    upper, lower, way = middle - shoulder, wrist - middle, target - shoulder
    a, b = float(np.linalg.norm(upper)), float(np.linalg.norm(lower))
    distance = float(np.clip(np.linalg.norm(way), abs(a - b) + 0.05 * a, 0.98 * (a + b)))
    way = _unit(way)
    cosine = np.clip((a**2 + distance**2 - b**2) / (2 * a * distance), -1, 1)
    aside = _unit(elbow - (elbow @ way) * way)
    new_upper = a * (cosine * way + np.sqrt(1 - cosine**2) * aside)
    new_lower = distance * way - new_upper
    before, after = _frame(upper, lower), _frame(new_upper, new_lower)
    bend = _angle(new_upper, new_lower) - _angle(upper, lower)
    return after @ before.T, _about(before[:, 1], bend)


def closed_hand(
    joints: Mapping[str, Vector], side: str, bend: float, together: float
) -> dict[str, Float[np.ndarray, "3 3"]]:
    """The turns of the bones of all fingers but the thumb: each joint is bent further towards the palm by `bend`, in
    radians, and spread fingers come nearer to the middle one by the share `together`.
    """
    middle = joints[f"finger3-3.{side}"] - joints[f"finger3-1.{side}"]
    palm = joints[f"finger3-1.{side}"] - joints[f"metacarpal2.{side}"]
    bent = _about(_unit(np.cross(palm, middle)), bend)
    turns: dict[str, Float[np.ndarray, "3 3"]] = {}
    for finger in range(2, 6):
        names = [f"finger{finger}-{joint}.{side}" for joint in (1, 2, 3)]
        turns |= dict.fromkeys(names, bent)
        if finger != 3:
            way = joints[names[2]] - joints[names[0]]
            beside = _about(_unit(np.cross(way, middle)), together * _angle(way, middle))
            turns[names[0]] = bent @ beside
    return turns


def _unit(vector: Vector) -> Vector:
    return vector / np.linalg.norm(vector)


def _frame(upper: Vector, lower: Vector) -> Float[np.ndarray, "3 3"]:
    """Columns: along the upper arm, along the hinge of the elbow, and across both."""
    along, hinge = _unit(upper), _unit(np.cross(upper, lower))
    return np.stack([along, hinge, np.cross(along, hinge)], axis=1)


def _angle(one: Vector, other: Vector) -> float:
    return float(np.arccos(np.clip(_unit(one) @ _unit(other), -1, 1)))


def _about(axis: Vector, angle: float) -> Float[np.ndarray, "3 3"]:
    """A rotation about any axis; source: Rodrigues' formula."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _from_to(one: Vector, other: Vector) -> Float[np.ndarray, "3 3"]:
    """The rotation that takes one direction to another on the shortest way."""
    return _about(_unit(np.cross(one, other)), _angle(one, other))
