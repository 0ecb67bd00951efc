"""Resampling of images in NumPy, with the pixels that OpenCV gives, for installations without OpenCV.

`average` and `resize` equal cv2.resize bit for bit, with INTER_AREA and INTER_LINEAR. `place` follows cv2.warpAffine,
which multiplies and adds in one step where the processor can: 3 values in a million differ, by one grey level.
"""

from collections.abc import Iterator

import numpy as np

from deepmark import geometry
from deepmark.shapes import Float, Float32, Int64, UInt8

_ONE = np.float32(1 << 11)
"""The sum of two weights in OpenCV's bilinear resizing of 8-bit images, which counts in integers."""

_BLOCK = 32
"""Rows that are computed at once: a half of the time of all at once, for an image of 600 x 450 pixels."""

_ROUNDING = np.float32(2**-15)
"""Grey levels; two orders of a sum of float32 differ by less than this for each of its terms, which are below 256."""


def average(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """The image shrunk to `size` (height, width): each pixel is the mean of those that it covers."""
    (height, width), area = size, 1.0
    rows, columns = _shares(image.shape[0], height), _shares(image.shape[1], width)
    if image.shape[0] % height == image.shape[1] % width == 0:  # whole pixels are counted, then divided
        area = image.shape[0] // height * (image.shape[1] // width)
        rows, columns = ((start, (share > 0).astype(np.float32)) for start, share in (rows, columns))
    tall = _weighted_sums(image.reshape(image.shape[0], -1), *rows).reshape(height, -1, 3)
    sums = _weighted_sums(np.ascontiguousarray(tall.swapaxes(0, 1)).reshape(tall.shape[1], -1), *columns)
    means = np.ascontiguousarray(sums.reshape(width, height, 3).swapaxes(0, 1)) * np.float32(1 / area)
    if area == 1:
        _sum_as_opencv(means, image, rows, columns)
    elif image.shape[:2] == (2 * height, 2 * width):  # OpenCV rounds only these up at a half
        means += np.float32(0.125)
    return np.rint(means).clip(0, 255).astype(np.uint8)


def _shares(length: int, new_length: int) -> tuple[Int64[np.ndarray, " n"], Float32[np.ndarray, "n k"]]:
    """Along an axis: the first pixel that each new pixel covers, and what share each covered pixel has of it."""
    scale = 1 / (new_length / length)
    begin = np.arange(new_length) * scale
    end = begin + scale
    cell = np.minimum(scale, length - begin)
    first, last = np.ceil(begin).astype(np.int64), np.minimum(np.floor(end).astype(np.int64), length - 1)
    first = np.minimum(first, last)
    head = np.where(first - begin > 1e-3, (first - begin) / cell, 0)
    tail = np.where(end - last > 1e-3, np.minimum(np.minimum(end - last, 1), cell) / cell, 0)
    start = np.where(head > 0, first - 1, first)
    at = start[:, None] + np.arange(int((last - start).max()) + 1)
    share = np.where((at >= first[:, None]) & (at < last[:, None]), (1 / cell)[:, None], 0)
    share = np.where(at == last[:, None], tail[:, None], np.where(at == first[:, None] - 1, head[:, None], share))
    over = np.maximum(0, at[:, -1] - (length - 1))  # the last windows are moved back into the image
    return start - over, np.stack([np.roll(row, by) for row, by in zip(share, over, strict=True)]).astype(np.float32)


def _weighted_sums(
    values: UInt8[np.ndarray, "n m"] | Float32[np.ndarray, "n m"],
    start: Int64[np.ndarray, " k"],
    share: Float32[np.ndarray, "k t"],
) -> Float32[np.ndarray, "k m"]:
    sums = np.empty((len(start), values.shape[1]), np.float32)
    for row, first, weights in zip(sums, start.tolist(), share, strict=True):
        np.matmul(weights, values[first : first + len(weights)].astype(np.float32, copy=False), out=row)
    return sums


def _sum_as_opencv(
    means: Float32[np.ndarray, "h w 3"],
    image: UInt8[np.ndarray, "_ _ 3"],
    rows: tuple[np.ndarray, np.ndarray],
    columns: tuple[np.ndarray, np.ndarray],
) -> None:
    """Sum again, in OpenCV's order, what is so near to a half that the order decides how it is rounded."""
    terms = rows[1].shape[1] + columns[1].shape[1]
    y, x, channel = np.nonzero(np.abs(means - np.floor(means) - np.float32(0.5)) < _ROUNDING * terms)
    sums = np.zeros(len(y), np.float32)
    for row in range(rows[1].shape[1]):
        across = np.zeros(len(y), np.float32)
        for column in range(columns[1].shape[1]):
            across += image[rows[0][y] + row, columns[0][x] + column, channel] * columns[1][x, column]
        sums += across * rows[1][y, row]
    means[y, x, channel] = sums


def resize(image: UInt8[np.ndarray, "h w 3"], scale: float) -> UInt8[np.ndarray, "H W 3"]:
    """The image scaled by 0.5 to 1, bilinear."""
    (height, width), (tall, wide) = image.shape[:2], (round(side * scale) for side in image.shape[:2])
    if (height, width) == (tall, wide):
        return image
    upper, low = _neighbours((np.arange(tall) + 0.5) / scale - 0.5)
    left, right = _neighbours((np.arange(wide) + 0.5) / scale - 0.5)
    right[(left < 0) | (left >= width - 1)] = 0  # but rows keep their weights where they have one neighbour only
    (of_left, of_right), of_rows = (np.rint(np.stack([1 - x, x]) * _ONE).astype(np.int32) for x in (right, low))
    of_left, of_right = np.repeat(of_left, 3), np.repeat(of_right, 3)
    columns, columns_right = _values(left, width), _values(left + 1, width)
    flat, resized = image.reshape(height, -1), np.empty((tall, 3 * wide), np.uint8)
    for new, old, pairs in _blocks(upper, height):
        rows = flat[old].astype(np.int32)
        across, across_right = rows[:, columns], rows[:, columns_right]
        across *= of_left
        across_right *= of_right
        across += across_right
        across >>= 4
        above, below = (across[each] for each in pairs)
        above *= of_rows[0, new, None]
        below *= of_rows[1, new, None]
        above >>= 16
        below >>= 16
        above += below
        above += 2
        above >>= 2
        resized[new] = above
    return resized.reshape(tall, wide, 3)


def place(
    image: UInt8[np.ndarray, "h w 3"], affine: Float[np.ndarray, "2 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """The image after a map that neither turns nor mirrors it, bilinear, on a black canvas of `size`."""
    (scale_x, _, x), (_, scale_y, y) = geometry.pixel_centred(affine).tolist()
    step = np.float64(np.float32(1 / scale_x))
    # As OpenCV, which computes x by a product that is not rounded, and y by one that is.
    columns = (np.arange(size[1]) * step + np.float32(-x / scale_x)).astype(np.float32)
    rows = np.arange(size[0], dtype=np.float32) * np.float32(1 / scale_y) + np.float32(-y / scale_y)
    (left, right), (upper, low) = _neighbours(columns), _neighbours(rows)
    seen_x, seen_y = _seen(left, image.shape[1]), _seen(upper, image.shape[0])
    if seen_x.start >= seen_x.stop or seen_y.start >= seen_y.stop:
        return np.zeros((*size, 3), np.uint8)
    framed = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    flat, width = framed.reshape(len(framed), -1), framed.shape[1]
    columns, columns_right = _values(left[seen_x] + 1, width), _values(left[seen_x] + 2, width)
    right, low = np.repeat(right[seen_x], 3), low[seen_y]
    canvas = np.zeros((*size, 3), np.uint8)
    for new, old, pairs in _blocks(upper[seen_y] + 1, len(framed)):
        rows = flat[old].astype(np.float32)
        across, across_right = rows[:, columns], rows[:, columns_right]
        across_right -= across
        across_right *= right
        across += across_right
        above, below = (across[each] for each in pairs)
        below -= above
        below *= low[new, None]
        above += below
        canvas[seen_y, seen_x][new] = np.rint(above, out=above).reshape(len(above), -1, 3)
    return canvas


def _neighbours(places: Float[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
    """The first of the two pixels that each place lies between, and the share of the second."""
    places = places.astype(np.float32)
    first = np.floor(places)
    return first.astype(np.int64), places - first


def _values(columns: Int64[np.ndarray, " n"], width: int) -> Int64[np.ndarray, " m"]:
    """The places of the values of these pixels in a row of pixels, the first and the last in place of those outside."""
    return (3 * columns.clip(0, width - 1)[:, None] + np.arange(3)).ravel()


def _blocks(
    upper: Int64[np.ndarray, " n"], height: int
) -> Iterator[tuple[slice, slice, tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " m"]]]]:
    """New rows, a few at a time, so that they stay in the processor's cache: which rows they are, which old rows they
    need, and where among those their upper and their lower ones are.
    """
    above, below = upper.clip(0, height - 1), (upper + 1).clip(0, height - 1)
    for start in range(0, len(upper), _BLOCK):
        new = slice(start, start + _BLOCK)
        first, last = int(above[start]), int(below[new][-1])
        yield new, slice(first, last + 1), (above[new] - first, below[new] - first)


def _seen(first: Int64[np.ndarray, " n"], length: int) -> slice:
    """The new pixels between whose neighbours at least one is in the image."""
    seen = np.flatnonzero((first >= -1) & (first < length))
    return slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(0, 0)
