"""Pictures that look the same: a 64-bit fingerprint each, and all pairs of two sets that differ in a few bits only.

The fingerprint (pHash) is the signs of a small grey picture's low frequencies about their median: another size, another
JPEG quality or another brightness change few of them. Source: Zauner, "Implementation and Benchmarking of Perceptual
Image Hash Functions", 2010.
"""

from collections.abc import Iterator
from itertools import combinations

import cv2
import numpy as np
import simplejpeg
from jaxtyping import Float32, Int64, UInt8, UInt64

BITS = 64
_SIDE, _LOW = 32, 8
"""The grey picture is 32 x 32; its 8 x 8 lowest frequencies count, the mean not among them."""

THUMBNAIL = 16
"""Side of the grey picture that decides between pictures of the same fingerprint."""

_BANDS, _BAND_BITS = 4, 16


def fingerprints(jpeg: bytes) -> tuple[UInt64[np.ndarray, "2"], UInt8[np.ndarray, "16 16"]]:
    """The fingerprint of the picture and of its mirror image, and a thumbnail; decodes an eighth of its sides."""
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    least = {"min_height": min(height, 2 * _SIDE), "min_width": min(width, 2 * _SIDE)}
    grey = simplejpeg.decode_jpeg(jpeg, "GRAY", fastdct=True, **least)[..., 0]
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

    Fingerprints that differ in r bits differ in r // 4 at most in one of four bands of 16 bits. So for each band the
    ones of `b` are sorted into 65,536 drawers, and each of `a` looks into those near its own.
    """
    found = [np.empty((2, 0), np.int64)]
    for band in range(_BANDS):
        keys, drawers = (
            ((each >> np.uint64(band * _BAND_BITS)) & np.uint64(0xFFFF)).astype(np.int64) for each in (a, b)
        )
        order = np.argsort(drawers, kind="stable")
        ends = np.cumsum(np.bincount(drawers, minlength=2**_BAND_BITS))
        starts = ends - np.bincount(drawers, minlength=2**_BAND_BITS)
        for mask in _masks(radius // _BANDS):
            found.append(_look(a, b, keys ^ mask, order, starts, ends, radius))
    pairs = np.unique(np.concatenate(found, axis=1), axis=1)
    return pairs[0], pairs[1]


def _masks(bits: int) -> Iterator[int]:
    for count in range(bits + 1):
        for places in combinations(range(_BAND_BITS), count):
            yield sum(1 << place for place in places)


_AT_ONCE = 1 << 22
"""Candidates that are compared at a time: some 100 MB."""


def _look(
    a: UInt64[np.ndarray, " n"],
    b: UInt64[np.ndarray, " m"],
    keys: Int64[np.ndarray, " n"],
    order: Int64[np.ndarray, " m"],
    starts: Int64[np.ndarray, " drawers"],
    ends: Int64[np.ndarray, " drawers"],
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


def likeness(a: UInt8[np.ndarray, "16 16"], b: UInt8[np.ndarray, "16 16"]) -> float:
    """Correlation of two thumbnails, -1..1; 1 for the same picture in another brightness or contrast."""
    x, y = (each.astype(np.float64) - each.mean() for each in (a, b))
    size = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / size) if size > 0 else float((a == b).all())
