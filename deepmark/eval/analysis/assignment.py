"""Assigns detections to labelled garments across categories, so that confusions can be counted.

COCO matches within a category: a skirt predicted as trousers is one false negative and one false positive.
"""

import numpy as np

from deepmark.eval.metric.columns import DetectionColumns, Truth
from deepmark.eval.metric.overlaps import box_overlap, pairs_of
from deepmark.schema import FOUND_SCORE, SAME_GARMENT_IOU
from deepmark.shapes import Float64, Int64

_CHUNK = 1 << 18
"""Detections that are compared with the garments of their images at a time."""


def assign_detections(
    truth: Truth, results: DetectionColumns, *, min_score: float = FOUND_SCORE
) -> Int64[np.ndarray, " n"]:
    """The detection assigned to each garment, a row of `results`; -1 for a missed garment.

    In every image the detections are assigned in the order of their scores: each to the free garment that its box
    overlaps most, by at least .5, of its own category or else of any other. So the highest score decides: to a vest
    that is detected as a top with .8 and as a vest with .1, the top is assigned. Weaker detections never change the
    assignment of stronger ones.
    """
    shown = np.flatnonzero(results.scores.astype(np.float64) >= min_score)
    parts = [_near(truth, results, shown[i : i + _CHUNK]) for i in range(0, max(1, len(shown)), _CHUNK)]
    row, item, overlap = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    other_category = results.category[row] != truth.category[item]
    order = np.lexsort((item, -overlap, other_category, row, -results.scores[row], results.image[row]))
    row, item = row[order], item[order]

    image = results.image[row]
    turn = np.arange(len(row)) - np.searchsorted(image, image, "left")
    free, found = np.ones(len(results), bool), np.full(len(truth), -1)
    by_turn = np.argsort(turn, kind="stable")
    for pairs in np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1):  # of each image one pair
        takes = pairs[free[row[pairs]] & (found[item[pairs]] < 0)]
        found[item[takes]], free[row[takes]] = row[takes], False
    return found


def _near(
    truth: Truth, results: DetectionColumns, rows: Int64[np.ndarray, " m"]
) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"], Float64[np.ndarray, " p"]]:
    """Detection, garment and overlap of the pairs whose boxes overlap by at least .5, whatever their categories."""
    place, item = pairs_of(results.image[rows], truth.image)
    row = rows[place]
    overlap = box_overlap(results.boxes[row].astype(np.float64), truth.boxes[item])
    near = overlap >= SAME_GARMENT_IOU
    return row[near], item[near], overlap[near]
