"""The light on what is rendered: a lamp far away, and light from everywhere."""

from dataclasses import dataclass

import numpy as np

from deepmark.shapes import Float


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """A lamp far away, and light from everywhere."""

    towards: Float[np.ndarray, "3"]
    """Unit vector from the figure to the lamp."""

    color: tuple[float, float, float]
    sky: tuple[float, float, float]
    ground: tuple[float, float, float]


def lamp_view(towards: Float[np.ndarray, "3"], points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "4 4"]:
    """A parallel view of all points from a lamp far away, `towards` which the unit vector leads."""
    right = np.cross((0.0, 0.0, 1.0), towards)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(towards, right), -towards])
    seen = axes @ points.T
    low, high = seen.min(axis=1) - 0.02, seen.max(axis=1) + 0.02
    scale, middle = 2 / (high - low), (low + high) / 2
    view = np.eye(4)
    view[:3, :3] = scale[:, None] * axes
    view[:3, 3] = -scale * middle
    return view
