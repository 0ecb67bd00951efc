"""An image with the number of the uppermost layer at every pixel."""

import cv2
import numpy as np

from deepmark.shapes import Float, UInt8
from deepmark.synthetic.texture import Color

Size = tuple[int, int]
"""Height and width, pixels."""

_SHIFT = 4
"""Fractional bits of OpenCV's fixed-point coordinates: polygons are exact to 1/16 of a pixel."""

_FAR = 30000
"""Pixels; the limit of OpenCV's fixed-point coordinates, far outside every image."""


def fixed(points: Float[np.ndarray, "n 2"]) -> np.ndarray:
    """Points in the form that OpenCV draws: fixed-point, with (0, 0) at the centre of the first pixel."""
    return np.rint((np.clip(points, -_FAR, _FAR) - 0.5) * (1 << _SHIFT)).astype(np.int32)


class Canvas:
    """An image that is painted layer by layer; layers are numbered from 1."""

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
        """Paints a polygon in one colour; returns its layer."""
        layer, contour = self._next(), fixed(polygon)
        cv2.fillPoly(self.image, [contour], color, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self.layers, [contour], layer, cv2.LINE_8, _SHIFT)
        return layer

    def cover(self, polygon: Float[np.ndarray, "n 2"], cloth: UInt8[np.ndarray, "h w 3"], at: tuple[int, int]) -> int:
        """Paints a polygon with an image of cloth whose upper left corner lies at (x, y); returns its layer."""
        layer, (x, y) = self._next(), at
        cv2.fillPoly(self.layers, [fixed(polygon)], layer, cv2.LINE_8, _SHIFT)
        window = np.s_[y : y + cloth.shape[0], x : x + cloth.shape[1]]
        cv2.copyTo(cloth, cv2.inRange(self.layers[window], layer, layer), self.image[window])
        return layer

    def line(self, points: Float[np.ndarray, "n 2"], color: Color, width: int, *, closed: bool = False) -> None:
        """Paints a line, such as a seam; it hides nothing, so it is not a layer."""
        cv2.polylines(self.image, [fixed(points)], closed, color, max(width, 1), cv2.LINE_AA, _SHIFT)
