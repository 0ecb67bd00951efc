"""Where a garment's box will be: a Kalman filter of constant velocity for each of its four numbers.

The numbers are the centre and the size, which are taken to be independent. Noise is in shares of the box's longer side.
Source: Simple Online and Realtime Tracking, 2016; the shares are those of ByteTrack, 2022.
"""

import numpy as np

from deepmark.shapes import Float64

_POSITION, _VELOCITY = 1 / 20, 1 / 160
"""Standard deviations: of a detected box, and of its change of velocity from frame to frame."""

_TRANSITION = np.array([[1.0, 1.0], [0.0, 1.0]])


class BoxMotion:
    """The estimated box of one garment, and its velocity in pixels a frame."""

    def __init__(self, box: Float64[np.ndarray, "4"]) -> None:
        self._state = np.stack([_centred(box), np.zeros(4)], axis=1)
        """A row for each number: value and velocity."""

        side = _longer_side(box)
        self._covariance = np.tile(np.diag([(2 * _POSITION * side) ** 2, (10 * _VELOCITY * side) ** 2]), (4, 1, 1))

    @property
    def box(self) -> Float64[np.ndarray, "4"]:
        """x0 y0 x1 y1, pixels."""
        centre, size = self._state[:2, 0], np.maximum(self._state[2:, 0], 0)
        return np.concatenate([centre - size / 2, centre + size / 2])

    def predict(self) -> None:
        """One frame on."""
        side = _longer_side(self.box)
        noise = np.diag([(_POSITION * side) ** 2, (_VELOCITY * side) ** 2])
        self._state = self._state @ _TRANSITION.T
        self._covariance = _TRANSITION @ self._covariance @ _TRANSITION.T + noise

    def hold_size(self) -> None:
        """Size and its change stay as they are while nothing is seen: a size that shrinks on would end at nothing."""
        self._state[2:, 1] = 0

    def update(self, box: Float64[np.ndarray, "4"]) -> None:
        """What was detected in this frame."""
        noise = (_POSITION * _longer_side(box)) ** 2
        gain = self._covariance[:, :, 0] / (self._covariance[:, 0, 0] + noise)[:, None]
        self._state = self._state + gain * (_centred(box) - self._state[:, 0])[:, None]
        self._covariance = self._covariance - gain[:, :, None] * self._covariance[:, None, 0, :]


def _centred(box: Float64[np.ndarray, "4"]) -> Float64[np.ndarray, "4"]:
    return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])


def _longer_side(box: Float64[np.ndarray, "4"]) -> float:
    return max(float((box[2:] - box[:2]).max()), 1.0)
