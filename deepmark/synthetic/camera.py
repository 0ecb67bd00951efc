"""Projects shoulder widths to pixels: a soft bend, then a mild perspective."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float
from deepmark.synthetic.garment_shape import Points

Box = tuple[float, float, float, float]
"""x0 y0 x1 y1, pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """Maps points in shoulder widths to pixels of the image."""

    mirrored: bool
    """The image is mirrored, as a selfie in a mirror is."""

    x_scale: float
    """Factor of the width as the wearer turns: 1 from the front, about 0.6 from the side."""

    x_perspective: float
    """How much wider the nearer side appears when the wearer is turned, per shoulder width from the middle."""

    bend: tuple[float, float, float]
    """Of the body: amplitude in shoulder widths, frequency in radians per shoulder width, phase."""

    homography: Float[np.ndarray, "3 3"]
    """Applied last: from shoulder widths to pixels."""

    def __call__(self, points: Points) -> Points:
        amplitude, frequency, phase = self.bend
        x, y = points[:, 0], points[:, 1]
        x = -self.x_scale * x if self.mirrored else self.x_scale * x
        x = x * (1 + self.x_perspective * np.clip(x, -1, 1))
        bent = np.stack([x + amplitude * np.sin(frequency * y + phase), y, np.ones_like(x)], axis=1) @ self.homography.T
        return bent[:, :2] / bent[:, 2:]

    @property
    def axes(self) -> Float[np.ndarray, "2 2"]:
        """The images of the x and y axes near the origin, as columns; pixels per shoulder width."""
        a, b, c = self(np.array([[0.0, 0.5], [0.1, 0.5], [0.0, 0.6]]))
        return np.stack([b - a, c - a], axis=1) * 10

    @property
    def scale(self) -> float:
        """Pixels per shoulder width in the vertical direction."""
        return float(np.linalg.norm(self.axes[:, 1]))

    def framed(self, points: Points, *, box: Box) -> "Camera":
        """The camera moved and zoomed so that the points fill the box and lie in its middle."""
        seen = self(points)
        low, high = seen.min(axis=0), seen.max(axis=0)
        start, end = np.array(box[:2]), np.array(box[2:])
        zoom = float(((end - start) / (high - low)).min())
        shift = (start + end) / 2 - zoom * (low + high) / 2
        frame = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]], [0, 0, 1]])
        return replace(self, homography=frame @ self.homography)


def sample_camera(rng: Generator, *, sideways: bool, tilt: float) -> Camera:
    """A random camera, to be framed; `tilt` is the standard deviation of its rotation, radians."""
    angle, shear, squeeze = rng.normal(0, tilt), rng.normal(0, 0.04), rng.uniform(0.94, 1.06)
    cos, sin = np.cos(angle), np.sin(angle)
    lean = rng.normal(0, 0.025, 2)
    homography = np.array([[cos, -sin, 0], [sin, cos, 0], [*lean, 1]]) @ np.array(
        [[squeeze, shear, 0], [0, 1, 0], [0, 0, 1]]
    )
    nearer = rng.uniform(0.15, 0.35) * rng.choice((-1, 1))
    return Camera(
        mirrored=bool(rng.random() < 0.3),
        x_scale=rng.uniform(0.5, 0.72) if sideways else rng.uniform(0.93, 1.0),
        x_perspective=float(nearer) if sideways else 0.0,
        bend=(rng.uniform(0, 0.045), rng.uniform(1.0, 2.5), rng.uniform(0, 2 * np.pi)),
        homography=homography,
    )
