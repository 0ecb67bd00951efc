"""Lays images on a canvas by an affine map, and decodes no more pixels of a JPEG than the map needs."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from deepmark import geometry
from deepmark.images import OpenedImage
from deepmark.runtime import resample
from deepmark.shapes import Float, UInt8

_SHRINKS = (8, 4, 2, 1)
"""Factors by which the sides of a JPEG can be divided in decoding. The decoder offers all eighths, but has vector code
for these only: relative to a full decode, one half takes 0.8 of the time, five eighths 1.4, seven eighths 2.6."""

_LEAST_BILINEAR = 0.5
"""Below this scale bilinear sampling skips pixels, so the image is first shrunk by averaging."""

_TOLERANCE = 1e-6
"""Pixels; an offset this close to a whole pixel counts as one, because of float64 rounding."""


class Resampling(NamedTuple):
    """The functions of a library that sample images; sizes are (height, width)."""

    average: Callable[[UInt8[np.ndarray, "h w 3"], tuple[int, int]], UInt8[np.ndarray, "H W 3"]]
    """Shrinks an image to a size, by the means of areas."""

    resize: Callable[[UInt8[np.ndarray, "h w 3"], float], UInt8[np.ndarray, "H W 3"]]
    """Scales an image by 0.5 to 1, bilinear."""

    place: Callable[[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "2 3"], tuple[int, int]], UInt8[np.ndarray, "H W 3"]]
    """Maps an image to a black canvas of a size, bilinear."""


NUMPY = Resampling(resample.average, resample.resize, resample.place)
"""For maps that neither turn nor mirror."""


def shrink_for(scale: float) -> int:
    """The largest factor by which a JPEG can be shrunk in decoding if it will be scaled by `scale` in the end."""
    return next((shrink for shrink in _SHRINKS if shrink * scale <= 1), 1)


def affine_scale(affine: Float[np.ndarray, "2 3"]) -> float:
    """The factor by which the map scales lengths; the geometric mean if it differs by direction."""
    return float(np.sqrt(abs(affine[0, 0] * affine[1, 1] - affine[0, 1] * affine[1, 0])))


def letterboxed(
    image: OpenedImage, affine: Float[np.ndarray, "2 3"], canvas: tuple[int, int], *, resampling: Resampling = NUMPY
) -> UInt8[np.ndarray, "H W 3"]:
    """The image after the map, on a black canvas of size (height, width).

    Raises DeepmarkError where it is a JPEG that is cut off or damaged.
    """
    pixels, to_image = image.shrunk(shrink_for(affine_scale(affine)))
    return warp(pixels, affine @ to_image, canvas, resampling)


def warp(
    image: UInt8[np.ndarray, "h w 3"],
    affine: Float[np.ndarray, "2 3"],
    size: tuple[int, int],
    resampling: Resampling = NUMPY,
) -> UInt8[np.ndarray, "H W 3"]:
    """The image after the map, on a black canvas of `size` (height, width), without aliasing."""
    height, width = image.shape[:2]
    scale = affine_scale(affine)
    if scale < _LEAST_BILINEAR:
        small = max(1, round(height * scale)), max(1, round(width * scale))
        image = resampling.average(image, small)
        affine = affine @ np.diag([width / small[1], height / small[0], 1.0])
    resized = _resize_onto(image, affine, size, resampling)
    return resampling.place(image, affine, size) if resized is None else resized


def _resize_onto(
    image: UInt8[np.ndarray, "h w 3"], affine: Float[np.ndarray, "2 3"], size: tuple[int, int], resampling: Resampling
) -> UInt8[np.ndarray, "H W 3"] | None:
    """`warp` in a third of the time, for maps that shrink without rotation onto whole pixels; None for others."""
    is_mirrored = affine[0, 0] < 0
    upright = geometry.mirrored(affine, size[1]) if is_mirrored else affine
    (scale_x, skew_x, x), (skew_y, scale, y) = upright.tolist()
    if skew_x or skew_y or scale_x != scale or not 0 < scale <= 1:
        return None
    rows, columns = _visible(y, scale, image.shape[0], size[0]), _visible(x, scale, image.shape[1], size[1])
    if rows is None or columns is None:
        return None
    (visible_rows, top), (visible_columns, left) = rows, columns
    small = resampling.resize(image[visible_rows, visible_columns], scale)[: size[0] - top, : size[1] - left]
    canvas = np.zeros((*size, 3), np.uint8)
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return np.ascontiguousarray(canvas[:, ::-1]) if is_mirrored else canvas


def _visible(offset: float, scale: float, length: int, canvas_length: int) -> tuple[slice, int] | None:
    """Along one axis: the pixels that land on the canvas, and the place of the first; None if not on whole pixels."""
    start, place = max(0.0, -offset / scale), max(0.0, offset)
    first, target = round(start), round(place)
    if max(abs(first - start), abs(target - place)) > _TOLERANCE or target >= canvas_length:
        return None
    # The last pixel of the canvas needs both of its neighbours, so there may be one row too many.
    stop = min(length, first + int((canvas_length - target + 0.5) / scale) + 1)
    return (slice(first, stop), target) if round((stop - first) * scale) > 0 else None
