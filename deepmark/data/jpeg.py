"""Warps images by an affine map with OpenCV, and decodes no more pixels of a JPEG than the map needs."""

import cv2
import numpy as np

from deepmark import geometry
from deepmark.images import OpenedImage, decode_jpeg
from deepmark.runtime import canvas as canvases
from deepmark.runtime.canvas import Resampling, affine_scale, shrink_for
from deepmark.shapes import Float, UInt8


def _place(
    image: UInt8[np.ndarray, "h w 3"], affine: Float[np.ndarray, "2 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    return cv2.warpAffine(image, geometry.pixel_centred(affine), size[::-1], flags=cv2.INTER_LINEAR)


OPENCV = Resampling(
    average=lambda image, size: cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA),
    resize=lambda image, scale: cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR),
    place=_place,
)
"""For all maps, and several times faster than NumPy."""


def decode_and_warp(
    jpeg: bytes, affine: Float[np.ndarray, "2 3"], canvas: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """The image of a JPEG as it is stored after the map, on a black canvas of size (height, width).

    Raises ValueError where the bytes are not an intact JPEG.
    """
    shrink = shrink_for(affine_scale(affine))
    return warp(decode_jpeg(jpeg, shrink=shrink), affine * [shrink, shrink, 1], canvas)


def warp_opened(
    image: OpenedImage, affine: Float[np.ndarray, "2 3"], canvas: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """The image after the map, on a black canvas; of a JPEG that is stored upright, the same as `decode_and_warp`.

    Raises DeepmarkError where it is a JPEG that is cut off or damaged.
    """
    return canvases.letterboxed(image, affine, canvas, resampling=OPENCV)


def warp(
    image: UInt8[np.ndarray, "h w 3"], affine: Float[np.ndarray, "2 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """The image after the map, on a black canvas of `size` (height, width), without aliasing."""
    return canvases.warp(image, affine, size, OPENCV)
