"""The camera: where it stands, how wide it sees, and which part of the image the figure fills."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float
from deepmark.synthetic.camera import Box
from deepmark.synthetic.canvas import Size
from deepmark.synthetic.rendered.pose import rotation
from deepmark.synthetic.rendered.styles import Styles

_NEAR, _FAR = 0.2, 20.0
_SIDEWAYS = 30.0
"""Degrees of yaw above which an item is seen from the side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A camera before a figure, or clothes, turned by `yaw` degrees."""

    yaw: float
    from_behind: bool
    thickness: float = 1.0
    """Depth of the clothes relative to that on a body; less than 1 where nobody wears them."""

    place: Float[np.ndarray, "3"]
    """Of the camera, in the world."""

    matrix: Float[np.ndarray, "4 4"]
    """From the world to OpenGL's clip coordinates."""

    size: Size

    @property
    def viewpoint(self) -> int:
        """As DeepFashion2's: 1 where nobody wears the clothes, 2 frontal, 3 from the side or from behind."""
        if self.thickness < 1:
            return 1
        return 3 if self.from_behind or abs(self.yaw) > _SIDEWAYS else 2

    def project(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """x and y in pixels, and the depth in metres."""
        clip = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ self.matrix.T
        depth = clip[:, 3]
        height, width = self.size
        x, y = (clip[:, 0] / depth + 1) / 2 * width, (1 - clip[:, 1] / depth) / 2 * height
        return np.stack([x, y, depth], axis=1)

    def facing(self, points: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        """The cosine between normals and the way to the camera."""
        way = self.place - points
        return np.einsum("ni,ni->n", way / np.linalg.norm(way, axis=1, keepdims=True), normals)


def sample_turn(rng: Generator) -> tuple[float, bool]:
    """Yaw in degrees, and whether the figure is seen from behind: shares about as in DeepFashion2."""
    kind = rng.random()
    if kind < 0.72:
        return float(np.clip(rng.normal(0, 13), -30, 30)), False
    if kind < 0.9:
        return float(rng.choice((-1, 1)) * rng.uniform(30, 70)), False
    return float(np.clip(rng.normal(0, 15), -40, 40)), True


def turn_of(yaw: float, *, from_behind: bool) -> Float[np.ndarray, "3 3"]:
    return rotation(2, yaw + 180 * from_behind)


def sample_view(
    rng: Generator,
    points: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "m 3"],
    frame: Box,
    size: Size,
    styles: Styles,
    turn: tuple[float, bool],
) -> View:
    """A camera that sees all `points`, the figure's, before it, and in whose image `target` fills the frame."""
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    field = np.radians(rng.uniform(*styles.field_of_view))
    distance = float(np.ptp(points[:, 2])) / 2 / np.tan(field / 2) + float(middle[1] - points[:, 1].min())
    place = middle - (0, max(distance, 1.2), 0)
    place[2] = rng.uniform(*styles.camera_height)
    return aimed_view(place, middle, rng.normal(0, 2.5), target, frame, size, turn)


def aimed_view(
    place: Float[np.ndarray, "3"],
    middle: Float[np.ndarray, "3"],
    roll: float,
    target: Float[np.ndarray, "m 3"],
    frame: Box,
    size: Size,
    turn: tuple[float, bool],
    thickness: float = 1.0,
) -> View:
    """A camera at a place that looks at `middle`, rolled by degrees, in whose image `target` fills the frame."""
    forward = middle - place
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    right, down = c * right + s * down, c * down - s * right
    axes = np.stack([right, down, forward])
    seen = (target - place) @ axes.T
    flat = seen[:, :2] / seen[:, 2:]
    low, high = flat.min(axis=0), flat.max(axis=0)
    corner, room = np.array(frame[:2]), np.array(frame[2:]) - frame[:2]
    zoom = float((room / np.maximum(high - low, 1e-6)).min())
    shift = corner + room / 2 - zoom * (low + high) / 2
    matrix = _clip_matrix(axes, place, zoom, shift, size)
    return View(yaw=turn[0], from_behind=turn[1], thickness=thickness, place=place, matrix=matrix, size=size)


def _clip_matrix(
    axes: Float[np.ndarray, "3 3"],
    place: Float[np.ndarray, "3"],
    zoom: float,
    shift: Float[np.ndarray, "2"],
    size: Size,
) -> Float[np.ndarray, "4 4"]:
    """Pixels are zoom * (x, y) / depth + shift in the camera's axes: right, down, forward."""
    height, width = size
    project = np.zeros((4, 4))
    project[0, [0, 2]] = 2 * zoom / width, 2 * shift[0] / width - 1
    project[1, [1, 2]] = -2 * zoom / height, 1 - 2 * shift[1] / height
    project[2, [2, 3]] = (_FAR + _NEAR) / (_FAR - _NEAR), -2 * _FAR * _NEAR / (_FAR - _NEAR)
    project[3, 2] = 1.0
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = axes, -axes @ place
    return project @ move
