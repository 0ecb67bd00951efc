"""Confidence intervals of the figures by the bootstrap over images.

A resample draws as many images as there are, with replacement. Nothing is matched again, because matches never cross
images: a resample is a count for each image, and precision follows from weighted cumulative sums. Resamples of one seed
draw the same images whatever was detected in them, so that the differences of two detectors are paired.
Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 6 and 13 (percentile intervals).
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from deepmark.eval.metric.average_precision import RECALLS
from deepmark.eval.metric.matching import OVERLAPS, Matches
from deepmark.shapes import Float64, Int32, Int64, UInt8

CONFIDENCE = 0.95
"""The share of the resamples that lie inside an interval."""

_CELLS = 1 << 20
"""Numbers in a temporary array: 4 to 8 MB stay in a core's cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """The range that holds a figure in 95% of the resamples."""

    low: float
    high: float


def draws(images: int, *, resamples: int, seed: int) -> UInt8[np.ndarray, "b p"]:
    """How often each image is in each resample; every row sums to `images`."""
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, images), np.uint8)
    for row in counts:
        drawn = np.bincount(rng.integers(0, images, images), minlength=images)
        assert drawn.max(initial=0) < 256  # a Poisson number of mean 1: one in 1e500 is more
        row[:] = drawn
    return counts


def resampled_ap(matches: Matches, counts: UInt8[np.ndarray, "b p"]) -> Float64[np.ndarray, "b 10 categories"]:
    """Average precision in every resample, by overlap threshold and category; NaN without labelled garments.

    With every count 1 this is the mean over recalls of `precision(matches)`.
    """
    categories = len(matches.vocabulary.categories)
    figures = np.full((len(counts), len(OVERLAPS), categories), np.nan)
    jobs = [job for category in range(categories) for job in _jobs(matches, category, counts)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for category, part, found in pool.map(_resample, jobs):
            figures[part, :, category] = found
    return figures


def interval(values: Float64[np.ndarray, " b"]) -> Interval | None:
    """The middle 95% of a figure's resamples; None if the figure exists in none of them."""
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Curve:
    """One category's detections as running sums need them."""

    category: int
    image: Int32[np.ndarray, " m"]
    ignored: list[Int64[np.ndarray, " _"]]
    """At each threshold, the few detections that do not count."""

    right: list[Int64[np.ndarray, " _"]]
    """At each threshold, the detections that found an item."""

    item_image: Int64[np.ndarray, " n"]


def _jobs(
    matches: Matches, category: int, counts: UInt8[np.ndarray, "b p"]
) -> Iterator[tuple[_Curve, slice, UInt8[np.ndarray, "_ p"]]]:
    rows = matches.in_category(category)
    item_image = matches.item_image[matches.to_find & (matches.item_category == category)]
    if not item_image.size:
        return
    # Nothing after the last item found moves the curve.
    end = int(np.flatnonzero(matches.found[rows] & matches.counted[rows]).max(initial=-1)) + 1
    rows = slice(rows.start, rows.start + end)
    places = range(len(OVERLAPS))
    curve = _Curve(
        category=category,
        image=matches.image[rows],
        ignored=[np.flatnonzero(~matches.counted_at(place, rows)) for place in places],
        right=[np.flatnonzero(matches.found_at(place, rows) & matches.counted_at(place, rows)) for place in places],
        item_image=item_image,
    )
    size = max(1, _CELLS // max(1, end))
    for start in range(0, len(counts), size):
        part = slice(start, min(start + size, len(counts)))
        yield curve, part, counts[part]


def _resample(
    job: tuple[_Curve, slice, UInt8[np.ndarray, "b p"]],
) -> tuple[int, slice, Float64[np.ndarray, "b 10"]]:
    curve, part, counts = job
    to_find = counts[:, curve.item_image].sum(1, dtype=np.int64)
    weights = counts[:, curve.image]
    all_seen = np.cumsum(weights, axis=1, dtype=np.int32)
    figures = np.zeros((len(counts), len(OVERLAPS)))
    for threshold, (ignored, right) in enumerate(zip(curve.ignored, curve.right, strict=True)):
        if not right.size:
            continue
        seen = all_seen[:, right]
        if ignored.size:
            unseen = np.zeros((len(counts), len(ignored) + 1), np.int32)
            np.cumsum(weights[:, ignored], axis=1, dtype=np.int32, out=unseen[:, 1:])
            seen -= unseen[:, np.searchsorted(ignored, right)]
        found = np.cumsum(weights[:, right], axis=1, dtype=np.int32)
        figures[:, threshold] = _average(found, seen, to_find)
    figures[to_find == 0] = np.nan
    return curve.category, part, figures


def _average(
    found: Int32[np.ndarray, "b m"], seen: Int32[np.ndarray, "b m"], to_find: Int64[np.ndarray, " b"]
) -> Float64[np.ndarray, " b"]:
    backwards = np.ascontiguousarray((found / np.maximum(seen, 1))[:, ::-1])  # in place it takes five times as long
    best = np.maximum.accumulate(backwards, axis=1)[:, ::-1]
    # How many of the 101 recalls each place has reached; the best precision is read at those it is first to reach.
    steps = len(RECALLS) - 1
    reached = np.floor(found * (steps / np.maximum(to_find, 1))[:, None] + 1e-9) + 1
    reached[:, 1:] -= reached[:, :-1].copy()
    return np.einsum("bm,bm->b", best, reached) / len(RECALLS)
