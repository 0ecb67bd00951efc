"""Landmarks without their jitter: a one-euro filter for each coordinate of each track.

It averages more the slower a landmark moves: what stands still does not tremble, and what moves does not lag. Lengths
are in roots of the area of the garment's box, so that near and far garments are treated alike.
Source: 1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems, 2012.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from deepmark.shapes import Float64, Int64
from deepmark.types import Detections

_LEAST_CUTOFF = 1.0
"""Hz, of a landmark that does not move: lower is smoother, and lags more."""

_CUTOFF_BY_SPEED = 20.0
"""Hz for each root of the box's area a second: higher lags less where it moves fast."""

_SPEED_CUTOFF = 1.0
"""Hz, of the speed itself; the value of the paper."""

_FORGOTTEN = 1.0
"""Seconds after which a garment that comes back is not averaged with where it was."""


@dataclass(slots=True)
class _State:
    time: float
    given: Float64[np.ndarray, "k 2"]
    """The landmarks as they were detected; the speed is measured between these."""

    smooth: Float64[np.ndarray, "k 2"]
    speed: Float64[np.ndarray, "k 2"]
    """Roots of the box's area a second."""


@dataclass(slots=True)
class LandmarkSmoother:
    """Smooths the landmarks of the garments of one video, whose frames it must see in order."""

    _states: dict[int, _State] = field(default_factory=dict)
    """By track."""

    def __call__(self, detections: Detections, tracks: Int64[np.ndarray, " n"], time: float) -> Detections:
        """The detections with smooth landmarks; `tracks` are their numbers, and `time` is in seconds."""
        self._states = {number: state for number, state in self._states.items() if time - state.time <= _FORGOTTEN}
        landmarks = detections.landmarks.copy()
        for row, number in enumerate(tracks.tolist()):
            width, height = np.maximum(detections.boxes[row, 2:] - detections.boxes[row, :2], 1).tolist()
            landmarks[row] = self._step(number, landmarks[row].astype(np.float64), time, float(np.sqrt(width * height)))
        return replace(detections, landmarks=landmarks)

    def _step(
        self, number: int, points: Float64[np.ndarray, "k 2"], time: float, size: float
    ) -> Float64[np.ndarray, "k 2"]:
        last = self._states.get(number)
        if last is None or time <= last.time:
            self._states[number] = _State(time=time, given=points, smooth=points, speed=np.zeros_like(points))
            return points
        step = time - last.time
        speed = (points - last.given) / (step * size)
        speed = last.speed + _share(np.full(1, _SPEED_CUTOFF), step) * (speed - last.speed)
        cutoff = _LEAST_CUTOFF + _CUTOFF_BY_SPEED * np.linalg.norm(speed, axis=1, keepdims=True)
        smooth = last.smooth + _share(cutoff, step) * (points - last.smooth)
        self._states[number] = _State(time=time, given=points, smooth=smooth, speed=speed)
        return smooth


def _share(cutoff: Float64[np.ndarray, "*n"], step: float) -> Float64[np.ndarray, "*n"]:
    """The share of the new value in the average, for a low-pass filter of this cutoff and steps of these seconds."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * step))
