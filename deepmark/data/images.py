"""JPEG bytes to pixels, no more of them than needed, seen through an affine view."""

import cv2
import numpy as np
import simplejpeg
from jaxtyping import Float, UInt8

from deepmark import geometry

_SHRINKS = (8, 4, 2, 1)
"""What a JPEG's sides can be divided by while it is decoded. Other eighths exist, but only these have vector code: a
half takes 0.8 of the time of the whole picture, five eighths 1.4, seven eighths 2.6."""

_SHARP = 0.5
"""Below this ratio bilinear sampling skips pixels: the picture is first shrunk by averaging."""

_ALIGNED = 1e-6
"""Pixels by which a view may miss the grid and still count as on it: rounding of float64."""


def decode_jpeg(data: bytes, *, shrink: int = 1) -> UInt8[np.ndarray, "h w 3"]:
    """The picture in RGB, whole or with its sides divided by 2, 4 or 8 and rounded up.

    Raises ValueError where the bytes are not a JPEG.
    """
    if shrink == 1:
        return simplejpeg.decode_jpeg(data, "RGB")
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    return simplejpeg.decode_jpeg(data, "RGB", min_height=-(-height // shrink), min_width=-(-width // shrink))


def shrink_for(ratio: float) -> int:
    """What a JPEG's sides may be divided by in decoding where a view will shrink them to this ratio."""
    return next((shrink for shrink in _SHRINKS if shrink * ratio <= 1), 1)


def view_ratio(view: Float[np.ndarray, "2 3"]) -> float:
    """How long a pixel's side becomes; the mean of both, where they differ."""
    return float(np.sqrt(abs(view[0, 0] * view[1, 1] - view[0, 1] * view[1, 0])))


def look_at(jpeg: bytes, view: Float[np.ndarray, "2 3"], canvas: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture of a JPEG through the view, on a black canvas; decodes no more pixels than the view needs."""
    shrink = shrink_for(view_ratio(view))
    return warp(decode_jpeg(jpeg, shrink=shrink), view * [shrink, shrink, 1], canvas)


def warp(
    image: UInt8[np.ndarray, "h w 3"], view: Float[np.ndarray, "2 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """The picture through the view, on a black canvas of `size` (height, width), without aliasing."""
    height, width = image.shape[:2]
    ratio = view_ratio(view)
    if ratio < _SHARP:
        small = max(1, round(height * ratio)), max(1, round(width * ratio))
        image = cv2.resize(image, small[::-1], interpolation=cv2.INTER_AREA)
        view = view @ np.diag([width / small[1], height / small[0], 1.0])
    resized = _resize_onto(image, view, size)
    if resized is not None:
        return resized
    return cv2.warpAffine(image, geometry.pixel_centred(view), size[::-1], flags=cv2.INTER_LINEAR)


def _resize_onto(
    image: UInt8[np.ndarray, "h w 3"], view: Float[np.ndarray, "2 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"] | None:
    """The same for a view that shrinks and begins on whole pixels, in a third of the time; None for other views."""
    is_mirrored = view[0, 0] < 0
    upright = geometry.mirrored(view, size[1]) if is_mirrored else view
    (across, skew_x, x), (skew_y, ratio, y) = upright.tolist()
    if skew_x or skew_y or across != ratio or not 0 < ratio <= 1:
        return None
    rows, columns = _begin(y, ratio, image.shape[0], size[0]), _begin(x, ratio, image.shape[1], size[1])
    if rows is None or columns is None:
        return None
    (seen_rows, top), (seen_columns, left) = rows, columns
    small = cv2.resize(image[seen_rows, seen_columns], None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR)
    small = small[: size[0] - top, : size[1] - left]
    bottom, right = size[0] - top - small.shape[0], size[1] - left - small.shape[1]
    if is_mirrored:
        small, left, right = cv2.flip(small, 1), right, left
    return cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_CONSTANT)


def _begin(offset: float, ratio: float, side: int, room: int) -> tuple[slice, int] | None:
    """Along one axis: which pixels are seen and where the first comes to lie; None where these are no whole pixels."""
    start, place = max(0.0, -offset / ratio), max(0.0, offset)
    first, target = round(start), round(place)
    if max(abs(first - start), abs(target - place)) > _ALIGNED or target >= room:
        return None
    # the last pixel of the canvas too has its two neighbours: that may make a row too many
    stop = min(side, first + int((room - target + 0.5) / ratio) + 1)
    return (slice(first, stop), target) if round((stop - first) * ratio) > 0 else None
