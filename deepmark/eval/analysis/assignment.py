"""Which detection belongs to which item, across categories: who is shown, confused or missed.

The metric asks each category by itself, so a skirt found as trousers is to it a skirt missed and trousers made up. Here
the two meet.
"""

import numpy as np
from jaxtyping import Int64

from deepmark.eval.metric.columns import Results, Truth
from deepmark.eval.metric.matching import OVERLAPS
from deepmark.eval.metric.overlaps import box_overlap, pairs_of

FOUND_SCORE = 0.05
"""Detections with less belong to no item: of a hundred in a picture, most are what the network did not believe in."""

SHOWN_SCORE = 0.3
"""Detections with less are not shown to people, and confuse no one; the report's pictures begin here too."""


def found_items(truth: Truth, results: Results, *, min_score: float = FOUND_SCORE) -> Int64[np.ndarray, " n"]:
    """The detection that belongs to each item, a row of `results`; -1 for a missed item.

    In every picture the detections choose in the order of their scores, each among the free items that its box overlaps
    by at least .5: the one it overlaps most of its own category, or else of any other. So what the network said first
    decides: a vest detected as a top with .8 and as a vest with .1 is found as a top. Belonging does not change when
    weaker detections are added or left out.
    """
    rows = np.flatnonzero(results.scores >= min_score)
    place, item = pairs_of(results.image[rows], truth.image)
    row = rows[place]
    overlap = box_overlap(results.boxes[row], truth.boxes[item])
    near = overlap >= OVERLAPS[0]
    row, item, overlap = row[near], item[near], overlap[near]
    other_category = results.category[row] != truth.category[item]
    order = np.lexsort((item, -overlap, other_category, row, -results.scores[row], results.image[row]))
    row, item = row[order], item[order]

    image = results.image[row]
    turn = np.arange(len(row)) - np.searchsorted(image, image, "left")
    free, found = np.ones(len(results), bool), np.full(len(truth), -1)
    by_turn = np.argsort(turn, kind="stable")
    for pairs in np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1):  # a pair a picture: none contend
        takes = pairs[free[row[pairs]] & (found[item[pairs]] < 0)]
        found[item[takes]], free[row[takes]] = row[takes], False
    return found
