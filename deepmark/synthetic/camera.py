"""From shoulder widths to pixels: a soft bend, then a mild perspective."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from deepmark.synthetic.garment_shape import Points

Box = tuple[float, float, float, float]
"""x0 y0 x1 y1, pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """Maps points of the doll's world to the picture."""

    mirrored: bool
    """As in a selfie before a mirror."""

    turn: float
    """Width that is left when the wearer turns aside: 1 from the front, about 0.6 from the side."""

    recede: float
    """How much nearer the wearer's one side is when turned, as a share of the width at one shoulder width."""

    sway: tuple[float, float, float]
    """Of the soft bend: amplitude in shoulder widths, waves in radians a shoulder width, phase."""

    view: Float[np.ndarray, "3 3"]
    """The homography that follows."""

    def __call__(self, points: Points) -> Points:
        amplitude, waves, phase = self.sway
        x, y = points[:, 0], points[:, 1]
        x = -self.turn * x if self.mirrored else self.turn * x
        x = x * (1 + self.recede * np.clip(x, -1, 1))
        bent = np.stack([x + amplitude * np.sin(waves * y + phase), y, np.ones_like(x)], axis=1) @ self.view.T
        return bent[:, :2] / bent[:, 2:]

    @property
    def axes(self) -> Float[np.ndarray, "2 2"]:
        """Where the world's x and y axes point near its origin, as columns, pixels a shoulder width."""
        a, b, c = self(np.array([[0.0, 0.5], [0.1, 0.5], [0.0, 0.6]]))
        return np.stack([b - a, c - a], axis=1) * 10

    @property
    def scale(self) -> float:
        """Pixels a shoulder width, upright."""
        return float(np.linalg.norm(self.axes[:, 1]))

    def framed(self, points: Points, *, box: Box) -> "Camera":
        """The same camera moved and zoomed so that the points just fit into the box, in its middle."""
        seen = self(points)
        low, high = seen.min(axis=0), seen.max(axis=0)
        start, end = np.array(box[:2]), np.array(box[2:])
        zoom = float(((end - start) / (high - low)).min())
        shift = (start + end) / 2 - zoom * (low + high) / 2
        frame = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]], [0, 0, 1]])
        return replace(self, view=frame @ self.view)


def set_up(rng: Generator, *, sideways: bool, tilt: float) -> Camera:
    """A camera that still has to be framed; `tilt` is the standard deviation of the rotation, radians."""
    angle, shear, squeeze = rng.normal(0, tilt), rng.normal(0, 0.04), rng.uniform(0.94, 1.06)
    cos, sin = np.cos(angle), np.sin(angle)
    lean = rng.normal(0, 0.025, 2)
    view = np.array([[cos, -sin, 0], [sin, cos, 0], [*lean, 1]]) @ np.array([[squeeze, shear, 0], [0, 1, 0], [0, 0, 1]])
    nearer = rng.uniform(0.15, 0.35) * rng.choice((-1, 1))
    return Camera(
        mirrored=bool(rng.random() < 0.3),
        turn=rng.uniform(0.5, 0.72) if sideways else rng.uniform(0.93, 1.0),
        recede=float(nearer) if sideways else 0.0,
        sway=(rng.uniform(0, 0.045), rng.uniform(1.0, 2.5), rng.uniform(0, 2 * np.pi)),
        view=view,
    )
