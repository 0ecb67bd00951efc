"""Precision and average precision from matches, accumulated as COCO does."""

from collections.abc import Iterator

import numpy as np

from deepmark.eval.metric.matching import OVERLAPS, Matches
from deepmark.shapes import Float, Float64

RECALLS: Float64[np.ndarray, "101"] = np.linspace(0, 1, 101)
"""The recalls at which precision is read: .00, .01 … 1.00."""


def precision(matches: Matches) -> Float64[np.ndarray, "10 101 categories"]:
    """Precision by overlap threshold, recall and category; -1 for a category without labelled garments.

    At each recall the best precision of that recall or a higher one. Source: pycocotools, COCOeval.accumulate.
    """
    return np.stack([precision_at(matches, threshold) for threshold in range(len(OVERLAPS))])


def precision_at(matches: Matches, threshold: int) -> Float64[np.ndarray, "101 categories"]:
    """The same at one of the overlap thresholds."""
    table = np.full((len(RECALLS), len(matches.vocabulary.categories)), -1.0)
    for category, to_find, rows in _categories(matches):
        table[:, category] = 0
        found, counted = matches.found_at(threshold, rows), matches.counted_at(threshold, rows)
        right = np.cumsum(found & counted).astype(np.float64)
        wrong = np.cumsum(~found & counted).astype(np.float64)
        exact = right / (wrong + right + np.spacing(1))
        best = np.maximum.accumulate(exact[::-1])[::-1]
        place = np.searchsorted(right / to_find, RECALLS, "left")
        reached = place < len(right)
        table[reached, category] = best[place[reached]]
    return table


def average_precision(precision: Float[np.ndarray, "t r k"]) -> float | None:
    """The mean over the categories with labelled garments; None without any."""
    found = precision[precision > -1]
    return float(found.mean()) if found.size else None


def _categories(matches: Matches) -> Iterator[tuple[int, int, slice]]:
    """The categories with labelled garments, the number of garments, and the rows of the detections."""
    counts = np.bincount(matches.item_category[matches.to_find], minlength=len(matches.vocabulary.categories))
    for category in np.flatnonzero(counts).tolist():
        yield category, int(counts[category]), matches.in_category(category)
