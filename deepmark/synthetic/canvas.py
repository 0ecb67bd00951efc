"""A picture that remembers what covers what."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from deepmark.synthetic.texture import Color

Size = tuple[int, int]
"""Height and width, pixels."""

_SHIFT = 4
"""Binary digits behind the point that OpenCV takes: polygons lie to 1/16 of a pixel."""

_FAR = 30000
"""OpenCV's fixed point holds no more; nothing this far away can be seen."""


def fixed(points: Float[np.ndarray, "n 2"]) -> np.ndarray:
    """Points as OpenCV's drawing wants them: fixed point, (0, 0) in the middle of the first pixel."""
    return np.rint((np.clip(points, -_FAR, _FAR) - 0.5) * (1 << _SHIFT)).astype(np.int32)


class Canvas:
    """Paint laid over paint; every layer gets the next number, from 1."""

    def __init__(self, image: UInt8[np.ndarray, "h w 3"]) -> None:
        self.image = image
        self.layers: UInt8[np.ndarray, "h w"] = np.zeros(image.shape[:2], np.uint8)
        """The number of the uppermost layer, pixel by pixel; 0 is the background."""
        self.count = 0

    @property
    def size(self) -> Size:
        return self.image.shape[0], self.image.shape[1]

    def _next(self) -> int:
        self.count += 1
        assert self.count < 256, "layers are counted in a byte"
        return self.count

    def fill(self, polygon: Float[np.ndarray, "n 2"], color: Color) -> int:
        """A flat shape; returns its layer."""
        layer, contour = self._next(), fixed(polygon)
        cv2.fillPoly(self.image, [contour], color, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self.layers, [contour], layer, cv2.LINE_8, _SHIFT)
        return layer

    def cover(self, polygon: Float[np.ndarray, "n 2"], cloth: UInt8[np.ndarray, "h w 3"], at: tuple[int, int]) -> int:
        """A shape cut from cloth, large enough, whose upper left corner lies at (x, y); returns its layer."""
        layer, (x, y) = self._next(), at
        cv2.fillPoly(self.layers, [fixed(polygon)], layer, cv2.LINE_8, _SHIFT)
        window = np.s_[y : y + cloth.shape[0], x : x + cloth.shape[1]]
        cv2.copyTo(cloth, cv2.inRange(self.layers[window], layer, layer), self.image[window])
        return layer

    def line(self, points: Float[np.ndarray, "n 2"], color: Color, width: int, *, closed: bool = False) -> None:
        """A seam, a fold, a drawing: it hides nothing, so it is no layer."""
        cv2.polylines(self.image, [fixed(points)], closed, color, max(width, 1), cv2.LINE_AA, _SHIFT)
