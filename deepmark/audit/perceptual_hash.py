"""Images that look the same: a 64-bit perceptual hash (pHash) of each, and all pairs whose hashes differ in a few bits.

The bits are the signs of the low frequencies of a small grey image about their median: another size, JPEG quality or
brightness changes few of them. Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions",
2010.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations

import cv2
import numpy as np
import simplejpeg

from deepmark.images import OpenedImage
from deepmark.shapes import Float32, Int64, UInt8, UInt64

_SIDE, _LOW = 32, 8
"""The grey image is 32 x 32; the 8 x 8 lowest frequencies are used, without the mean."""

THUMBNAIL = 16
"""Side of the grey image that tells images of similar hashes apart."""

_BANDS, _BAND_BITS = 4, 16


def perceptual_hashes(jpeg: bytes) -> tuple[UInt64[np.ndarray, "2"], UInt8[np.ndarray, "16 16"]]:
    """The hashes of the image and of its mirror image, and a thumbnail; decodes as small as an eighth.

    Raises ValueError where the bytes are no JPEG that can be decoded as grey.
    """
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    least = {"min_height": min(height, 2 * _SIDE), "min_width": min(width, 2 * _SIDE)}
    return _of_grey(simplejpeg.decode_jpeg(jpeg, "GRAY", fastdct=True, **least)[..., 0])


def hashes_of_image(image: OpenedImage) -> tuple[UInt64[np.ndarray, "2"], UInt8[np.ndarray, "16 16"]]:
    """As `perceptual_hashes`, of an image of any kind, upright.

    Raises DeepmarkError where it is damaged.
    """
    if isinstance(image.content, bytes) and image.orientation == 1:
        with suppress(ValueError):  # a JPEG that only Pillow reads, or a damaged one, which `pixels` names
            return perceptual_hashes(image.content)
    return _of_grey(cv2.cvtColor(image.pixels(), cv2.COLOR_RGB2GRAY))


def _of_grey(grey: UInt8[np.ndarray, "h w"]) -> tuple[UInt64[np.ndarray, "2"], UInt8[np.ndarray, "16 16"]]:
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    frequencies = cv2.dct(small.astype(np.float32))[:_LOW, 1 : _LOW + 1]
    mirror = frequencies * np.where(np.arange(1, _LOW + 1) % 2, -1, 1).astype(np.float32)
    thumbnail = cv2.resize(small, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.array([_bits(frequencies), _bits(mirror)]), thumbnail


def _bits(frequencies: Float32[np.ndarray, "8 8"]) -> np.uint64:
    return np.packbits(frequencies > np.median(frequencies)).view(np.uint64)[0]


def near_pairs(
    a: UInt64[np.ndarray, " n"], b: UInt64[np.ndarray, " m"], *, radius: int
) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"]]:
    """All (i, j) whose a[i] and b[j] differ in `radius` bits at most; exact, without comparing all with all.

    Hashes that differ in r bits differ in at most r // 4 bits in one of their four bands of 16 bits. So for each band
    the hashes of `b` are sorted into 65,536 buckets, and each of `a` is compared with those in near buckets.
    """
    found = [np.empty((2, 0), np.int64)]
    for band in range(_BANDS):
        keys, buckets = (
            ((each >> np.uint64(band * _BAND_BITS)) & np.uint64(0xFFFF)).astype(np.int64) for each in (a, b)
        )
        order = np.argsort(buckets, kind="stable")
        ends = np.cumsum(np.bincount(buckets, minlength=2**_BAND_BITS))
        starts = ends - np.bincount(buckets, minlength=2**_BAND_BITS)
        for mask in _masks(radius // _BANDS):
            found.append(_compare_buckets(a, b, keys ^ mask, order, starts, ends, radius))
    pairs = np.unique(np.concatenate(found, axis=1), axis=1)
    return pairs[0], pairs[1]


def _masks(bits: int) -> Iterator[int]:
    for count in range(bits + 1):
        for places in combinations(range(_BAND_BITS), count):
            yield sum(1 << place for place in places)


_AT_ONCE = 1 << 22
"""Pairs that are compared at a time: some 100 MB."""


def _compare_buckets(
    a: UInt64[np.ndarray, " n"],
    b: UInt64[np.ndarray, " m"],
    keys: Int64[np.ndarray, " n"],
    order: Int64[np.ndarray, " m"],
    starts: Int64[np.ndarray, " buckets"],
    ends: Int64[np.ndarray, " buckets"],
    radius: int,
) -> Int64[np.ndarray, "2 p"]:
    counts = ends[keys] - starts[keys]
    bounds = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum() + _AT_ONCE, _AT_ONCE)).tolist()
    found = [np.empty((2, 0), np.int64)]
    for start, stop in zip(bounds, [*bounds[1:], len(a)], strict=True):
        part = counts[start:stop]
        i = np.repeat(np.arange(start, start + len(part)), part)
        within = np.arange(len(i)) - np.repeat(np.cumsum(part) - part, part)
        j = order[np.repeat(starts[keys[start:stop]], part) + within]
        near = np.bitwise_count(a[i] ^ b[j]) <= radius
        found.append(np.stack([i[near], j[near]]))
    return np.concatenate(found, axis=1)


def correlation(a: UInt8[np.ndarray, "16 16"], b: UInt8[np.ndarray, "16 16"]) -> float:
    """Correlation of two thumbnails, -1..1; 1 for the same image in another brightness or contrast."""
    x, y = (each.astype(np.float64) - each.mean() for each in (a, b))
    size = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / size) if size > 0 else float((a == b).all())
