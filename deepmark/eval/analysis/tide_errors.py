"""The errors that lower box AP50: wrong detections and missed garments by kind, and the cost of each kind.

Source: TIDE, A General Toolbox for Identifying Object Detection Errors, 2020, sections 2.2 and 2.3. Its published tool
lets a badly placed detection block the repair of one with a wrong category, and counts nothing for a category of which
no garment is detected; here each kind is repaired by itself, as in the paper, and such a category counts.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from deepmark.eval.metric.average_precision import precision_at
from deepmark.eval.metric.columns import DetectionColumns, Truth
from deepmark.eval.metric.matching import EVERY, OVERLAPS, Matches
from deepmark.eval.metric.overlaps import box_overlap, pairs_of
from deepmark.schema import SHOWN_SCORE
from deepmark.shapes import Bool, Float64, Int8, Int32, Int64

if TYPE_CHECKING:
    import pandas as pd

ERRORS: tuple[str, ...] = ("wrong category", "badly placed", "both", "duplicate", "background", "missed")
"""The kinds; a wrong detection is of exactly one of the first five."""

WRONG_CATEGORY, BADLY_PLACED, BOTH, DUPLICATE, BACKGROUND, MISSED = range(len(ERRORS))

NEAR = 0.1
"""The least overlap of a detection with the garment that it is about; TIDE's threshold of background."""

FOUND = float(OVERLAPS[0])
"""The least overlap of a detection that is placed correctly."""

_CHUNK = 1 << 18
"""Detections that are compared with the garments of their images at a time: about 50 MB of pairs."""


def error_table(truth: Truth, results: DetectionColumns, matches: Matches) -> "pd.DataFrame":
    """Columns kind, count, shown (those of score .3 or more) and ap_cost (the gain in box AP50 without them).

    `matches` are those of boxes over everything. A wrong detection is, by the items of its own image, the first of
    - badly placed: it overlaps one of its own category by .1 or more, none of them by .5;
    - wrong category: it overlaps one of another category by .5 or more;
    - duplicate: it overlaps one of its own category by .5 or more, which a better detection has;
    - both: it overlaps one of another category by .1 or more;
    - background: none of these.
    Missed is an item without a match, if no badly placed detection and none of a wrong category is about it; it has no
    score, so that all of them are shown.

    The gain is that of mending all errors of the kind and nothing else. A badly placed detection, or one of a wrong
    category, becomes right where its item has no match and no better one of its kind; it goes where not. Duplicates,
    background and both go. Missed items need not be found; a category that has no others has AP50 1 then. The gains do
    not sum up to what AP50 lacks to 1. NaN where there are no items at all.
    """
    import pandas as pd

    kinds, about = _classify(truth, results, matches)
    missed = _missed(matches, kinds, about)
    before = _ap50(matches)
    counts = [int((kinds == kind).sum()) for kind in range(MISSED)] + [int(missed.sum())]
    costs = [_gain(before, _ap50(_without(matches, kinds, about, kind))) for kind in range(MISSED)]
    costs.append(_gain(before, _ap50(replace(matches, to_find=matches.to_find & ~missed))))
    shown = np.bincount(kinds[(kinds >= 0) & (matches.scores.astype(np.float64) >= SHOWN_SCORE)], minlength=MISSED)
    return pd.DataFrame({"kind": ERRORS, "count": counts, "shown": [*shown.tolist(), counts[MISSED]], "ap_cost": costs})


def _classify(
    truth: Truth, results: DetectionColumns, matches: Matches
) -> tuple[Int8[np.ndarray, " m"], Int32[np.ndarray, " m"]]:
    """The kind of every detection (-1 if it is correct or does not count), and the garment that it is about, or -1."""
    kinds, about = np.full(len(matches.result), -1, np.int8), np.full(len(matches.result), -1, np.int32)
    wrong = np.flatnonzero((matches.item < 0) & matches.counted_at(0)).astype(np.int32)
    for i in range(0, len(wrong), _CHUNK):
        rows = wrong[i : i + _CHUNK]
        own, own_overlap, other, other_overlap = _nearest(truth, results, matches.result[rows])
        conditions = {
            BADLY_PLACED: (own_overlap >= NEAR) & (own_overlap < FOUND),
            WRONG_CATEGORY: other_overlap >= FOUND,
            DUPLICATE: own_overlap >= FOUND,
            BOTH: other_overlap >= NEAR,
        }
        kinds[rows] = np.select(list(conditions.values()), list(conditions), BACKGROUND)
        about[rows] = np.select([kinds[rows] == BADLY_PLACED, kinds[rows] == WRONG_CATEGORY], [own, other], -1)
    return kinds, about


def _nearest(
    truth: Truth, results: DetectionColumns, rows: Int32[np.ndarray, " m"]
) -> tuple[Int64[np.ndarray, " m"], Float64[np.ndarray, " m"], Int64[np.ndarray, " m"], Float64[np.ndarray, " m"]]:
    """The garments of the detection's category and of others that it overlaps most, and the overlaps; 0 below .1."""
    detection, item = pairs_of(results.image[rows], truth.image)
    overlap = box_overlap(results.boxes[rows[detection]].astype(np.float64), truth.boxes[item])
    near = overlap >= NEAR
    detection, item, overlap = detection[near], item[near], overlap[near]
    is_own = results.category[rows[detection]] == truth.category[item]

    def best(of: Bool[np.ndarray, " p"]) -> tuple[Int64[np.ndarray, " m"], Float64[np.ndarray, " m"]]:
        order = np.flatnonzero(of)[np.lexsort((-overlap[of], detection[of]))]
        found, first = np.unique(detection[order], return_index=True)
        items, overlaps = np.full(len(rows), -1), np.zeros(len(rows))
        items[found], overlaps[found] = item[order[first]], overlap[order[first]]
        return items, overlaps

    return *best(is_own), *best(~is_own)


def _missed(matches: Matches, kinds: Int8[np.ndarray, " m"], about: Int32[np.ndarray, " m"]) -> Bool[np.ndarray, " n"]:
    missed = matches.to_find.copy()
    missed[matches.item[matches.item >= 0]] = False
    missed[about[(kinds == BADLY_PLACED) | (kinds == WRONG_CATEGORY)]] = False
    return missed


def _without(matches: Matches, kinds: Int8[np.ndarray, " m"], about: Int32[np.ndarray, " m"], kind: int) -> Matches:
    """The matches after the errors of one kind of detection are corrected."""
    gone, item, category = kinds == kind, matches.item.copy(), matches.category.copy()
    found = np.zeros(len(matches.to_find), bool)
    found[item[item >= 0]] = True
    able = np.flatnonzero((kinds == kind) & (about >= 0))
    able = able[~found[about[able]]]
    by_score = able[np.argsort(-matches.scores[able], kind="stable")]
    chosen = by_score[np.unique(about[by_score], return_index=True)[1]]
    item[chosen], gone[chosen] = about[chosen], False
    category[chosen] = matches.item_category[about[chosen]]
    return _ranked(matches, item, matches.counted_at(0) & ~gone, category)


def _ranked(
    matches: Matches,
    item: Int32[np.ndarray, " m"],
    counted: Bool[np.ndarray, " m"],
    category: Int32[np.ndarray, " m"],
) -> Matches:
    rows = np.flatnonzero(counted).astype(np.int32)
    order = rows[np.lexsort((-matches.scores[rows], category[rows]))]
    return replace(
        matches,
        result=matches.result[order],
        image=matches.image[order],
        category=category[order],
        scores=matches.scores[order],
        item=item[order],
        found=(item[order] >= 0) * EVERY,
        counted=np.full(len(order), EVERY),
    )


def _ap50(matches: Matches) -> Float64[np.ndarray, " categories"]:
    """By category; NaN where nothing is labelled."""
    values = precision_at(matches, 0).mean(axis=0)
    return np.where(values < 0, np.nan, values)


def _gain(before: Float64[np.ndarray, " categories"], after: Float64[np.ndarray, " categories"]) -> float:
    known = ~np.isnan(before)
    if not known.any():
        return float("nan")
    return float((np.where(np.isnan(after), 1.0, after) - before)[known].mean())
