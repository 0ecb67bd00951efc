"""The overlap of detections and garments: intersection over union of boxes, object keypoint similarity of landmarks.

Computed for pairs, in double precision and in the order of operations of pycocotools, so that comparisons with a
threshold give the same answers; geometry.box_iou computes the matrix of all boxes with all.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from deepmark.shapes import Bool, Float, Float64, Int, Int64
from deepmark.vocabulary import Vocabulary

OVERLAPS: Float64[np.ndarray, "10"] = np.linspace(0.5, 0.95, 10)
"""The thresholds .50, .55 … .95."""

_CHUNK = 1 << 15
"""Pairs whose landmarks are compared at a time: 10 MB a temporary array."""

_TINY = np.spacing(1)


def pairs_of(
    keys: Int[np.ndarray, " m"], sorted_keys: Int64[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"]]:
    """All (i, j) with keys[i] == sorted_keys[j], ordered by i, then j."""
    first = np.searchsorted(sorted_keys, keys, "left")
    counts = np.searchsorted(sorted_keys, keys, "right") - first
    i = np.repeat(np.arange(len(keys)), counts)
    within = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
    return i, first[i] + within


def box_overlap(a: Float64[np.ndarray, "p 4"], b: Float64[np.ndarray, "p 4"]) -> Float64[np.ndarray, " p"]:
    """Intersection over union of box a[i] and box b[i]; x0 y0 x1 y1. 0 if they do not intersect."""
    sizes_a, sizes_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    shared = np.minimum(sizes_a + a[:, :2], sizes_b + b[:, :2]) - np.maximum(a[:, :2], b[:, :2])
    intersection = np.where((shared > 0).all(1), shared.prod(1), 0.0)
    union = sizes_a.prod(1) + sizes_b.prod(1) - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=intersection > 0)


def landmark_overlap(
    vocabulary: Vocabulary,
    categories: Int[np.ndarray, " p"],
    boxes: Float64[np.ndarray, "p 4"],
    truth: Float64[np.ndarray, "p most_landmarks 3"],
    found: Float[np.ndarray, "p most_landmarks 2"],
) -> Float64[np.ndarray, " p"]:
    """Object keypoint similarity of a garment and a detection of the same category.

    The mean of exp(-d² / (2 area (2 sigma)²)) over the labelled landmarks, area being the item's box. An item without
    any is compared by the points of the whole flat list, zeros of the other categories included, and by their distance
    to its box enlarged by its size on every side: nothing can be won by it, but matched to it, a detection is ignored.
    Source: pycocotools, COCOeval.computeOks.
    """
    known, parts = _variances(vocabulary), []
    for start in range(0, len(categories), _CHUNK):
        part = slice(start, start + _CHUNK)
        parts.append(_chunk_overlap(known, categories[part], boxes[part], truth[part], found[part]))
    return np.concatenate(parts) if parts else np.empty(0)


class _Variances(NamedTuple):
    """(2 sigma)² of the landmarks of a vocabulary."""

    own: Float64[np.ndarray, "categories most_landmarks"]
    """Infinite beyond the category's landmarks."""

    flat: Float64[np.ndarray, " landmarks"]
    """Of the flat list."""

    of_others: Bool[np.ndarray, "categories landmarks"]
    """Which landmarks of the flat list are of other categories."""


@lru_cache(maxsize=4)
def _variances(vocabulary: Vocabulary) -> _Variances:
    own, flat = np.full(vocabulary.own_landmarks.shape, np.inf), (np.array(vocabulary.sigmas) * 2) ** 2
    of_others = np.ones((len(own), len(flat)), bool)
    for category in vocabulary.categories:
        own[category.index, : category.landmarks] = flat[category.span]
        of_others[category.index, category.span] = False
    return _Variances(own, flat, of_others)


def _chunk_overlap(
    known: _Variances,
    categories: Int[np.ndarray, " p"],
    boxes: Float64[np.ndarray, "p 4"],
    truth: Float64[np.ndarray, "p most_landmarks 3"],
    found: Float[np.ndarray, "p most_landmarks 2"],
) -> Float64[np.ndarray, " p"]:
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) + _TINY)[:, None]
    labelled = truth[:, :, 2] > 0
    distance = ((found.astype(np.float64) - truth[:, :, :2]) ** 2).sum(2)
    counts = labelled.sum(1)
    similar = np.exp(-(distance / known.own[categories] / area / 2))
    overlap = np.where(labelled, similar, 0.0).sum(1) / np.maximum(counts, 1)
    empty = np.flatnonzero(counts == 0)
    if empty.size:
        overlap[empty] = _unlabelled_overlap(known, categories[empty], boxes[empty], area[empty], found[empty])
    return overlap


def _unlabelled_overlap(
    known: _Variances,
    categories: Int[np.ndarray, " p"],
    boxes: Float64[np.ndarray, "p 4"],
    area: Float64[np.ndarray, "p 1"],
    found: Float[np.ndarray, "p most_landmarks 2"],
) -> Float64[np.ndarray, " p"]:
    size = boxes[:, 2:] - boxes[:, :2]
    low, high = (boxes[:, :2] - size)[:, None], (boxes[:, :2] + size * 2)[:, None]

    def distance(points: Float64[np.ndarray, "p k 2"]) -> Float64[np.ndarray, "p k"]:
        return ((np.maximum(0, low - points) + np.maximum(0, points - high)) ** 2).sum(2)

    own = np.exp(-(distance(found.astype(np.float64)) / known.own[categories] / area / 2))
    at_zero = np.exp(-(distance(np.zeros((len(boxes), 1, 2))) / known.flat / area / 2))
    of_own = np.where(np.isfinite(known.own[categories]), own, 0).sum(1)
    return (of_own + np.where(known.of_others[categories], at_zero, 0).sum(1)) / len(known.flat)
