"""COCO's matching of detections to labelled garments, for all images at once.

In every image and category, in the order of their scores, each detection is matched to the free garment that it
overlaps most, at each of ten thresholds. Overlaps are computed once, for all garments and for every subset of them.
Source: pycocotools, COCOeval.evaluateImg; equal to it by test.
"""

from dataclasses import dataclass

import numpy as np

from deepmark.eval.metric.columns import DetectionColumns, Truth
from deepmark.eval.metric.overlaps import box_overlap, landmark_overlap, pairs_of
from deepmark.schema import CATEGORIES, Kind
from deepmark.shapes import Bool, Float64, Int64

OVERLAPS: Float64[np.ndarray, "10"] = np.linspace(0.5, 0.95, 10)
"""The thresholds .50, .55 … .95."""

MAX_DETECTIONS: dict[Kind, int] = {Kind.BBOX: 100, Kind.KEYPOINTS: 20}
"""Detections that count in an image and category, the best ones first; COCO's limits."""

AREA_LIMIT = 1e10
"""COCO's area range "all", square pixels; a box whose corners are the wrong way round lies outside of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Matches:
    """The match of every detection and garment; detections are sorted by category, then best first."""

    image_count: int
    """How many images there are, including those without garments or detections."""

    result: Int64[np.ndarray, " m"]
    """The row of `DetectionColumns`."""

    image: Int64[np.ndarray, " m"]
    category: Int64[np.ndarray, " m"]
    scores: Float64[np.ndarray, " m"]

    item: Int64[np.ndarray, "10 m"]
    """The row of `Truth` that it is matched to at each threshold of `OVERLAPS`; -1 for none."""

    counted: Bool[np.ndarray, "10 m"]
    """False if it is matched to an ignored garment, or to none while its own area is out of COCO's range."""

    to_find: Bool[np.ndarray, " n"]
    """Which garments are not ignored."""

    item_image: Int64[np.ndarray, " n"]
    item_category: Int64[np.ndarray, " n"]

    def in_category(self, category: int) -> slice:
        """The rows of one category's detections."""
        return slice(*np.searchsorted(self.category, [category, category + 1]).tolist())


class Matching:
    """The matching of detections to truth; by landmarks, a garment without labelled ones is ignored."""

    def __init__(self, truth: Truth, results: DetectionColumns, kind: Kind) -> None:
        self._truth = truth
        self._ignored = np.zeros(len(truth), bool)
        if kind == "keypoints":
            self._ignored[:] = ~truth.labelled.any(1)
        cells = results.image * len(CATEGORIES) + results.category
        scores = results.scores if kind == "bbox" else results.pose_scores
        order = np.lexsort((-scores, cells))
        rank = np.arange(len(order)) - np.searchsorted(cells[order], cells[order], "left")
        kept = rank < MAX_DETECTIONS[kind]
        order, rank = order[kept], rank[kept]
        by_score = np.lexsort((-scores[order], results.category[order]))
        self._result, self._rank = order[by_score], rank[by_score]
        self._image, self._category = results.image[self._result], results.category[self._result]
        self._scores = scores[self._result]
        area = np.prod(results.boxes[self._result, 2:] - results.boxes[self._result, :2], axis=1)
        self._in_range = (area >= 0) & (area <= AREA_LIMIT)
        self._near = self._overlaps(truth, results, kind)

    def _overlaps(
        self, truth: Truth, results: DetectionColumns, kind: Kind
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Detection, garment and overlap of every pair that may match."""
        item_cells = truth.image * len(CATEGORIES) + truth.category
        by_cell = np.argsort(item_cells, kind="stable")
        row, place = pairs_of(self._image * len(CATEGORIES) + self._category, item_cells[by_cell])
        item, result = by_cell[place], self._result[row]
        if kind == "bbox":
            overlap = box_overlap(results.boxes[result], truth.boxes[item])
        else:
            categories, boxes = truth.category[item], truth.boxes[item]
            overlap = landmark_overlap(categories, boxes, truth.landmarks[item], results.landmarks[result])
        near = overlap >= OVERLAPS[0]
        return row[near], item[near], overlap[near]

    def match(self, items: Bool[np.ndarray, " n"] | None = None) -> Matches:
        """The matches of all garments or, with `items`, of a subset.

        Other garments are ignored as COCO ignores by area: a detection matched to one of them does not count. Unmatched
        detections count in the images that hold a garment of the subset.
        """
        truth = self._truth
        holds = np.ones(len(truth.images), bool)
        ignored = self._ignored.copy()
        if items is not None:
            holds[:] = False
            holds[truth.image[items]] = True
            ignored[~items] = True
        rows = np.flatnonzero(holds[self._image])
        matched = self._match(ignored)[:, rows]
        return Matches(
            image_count=len(truth.images),
            result=self._result[rows],
            image=self._image[rows],
            category=self._category[rows],
            scores=self._scores[rows],
            item=matched,
            counted=np.where(matched < 0, self._in_range[rows], ~np.append(ignored, True)[matched]),
            to_find=~ignored,
            item_image=truth.image,
            item_category=truth.category,
        )

    def _match(self, ignored: Bool[np.ndarray, " n"]) -> Int64[np.ndarray, "10 m"]:
        row, item, overlap = self._near
        # A detection tries its garments in turn, ignored ones last; of two equal overlaps the later garment wins.
        by_turn = np.lexsort((item, ignored[item], row))
        starts = np.flatnonzero(np.diff(row[by_turn], prepend=-1))
        turn = np.empty_like(row)
        turn[by_turn] = np.arange(len(row)) - np.repeat(starts, np.diff(starts, append=len(row)))

        matched = np.full((len(self._result), len(OVERLAPS)), -1)
        best = np.tile(np.minimum(OVERLAPS, 1 - 1e-10), (len(self._result), 1))
        taken = np.zeros((len(ignored), len(OVERLAPS)), bool)
        for of_rank in _groups(self._rank[row]):
            for pairs in _groups(turn[of_rank], of_rank):
                r, i = row[pairs], item[pairs]
                held, offered = matched[r], overlap[pairs, None]
                keeps = (held >= 0) & ~ignored[held] & ignored[i, None]
                takes = ~taken[i] & (offered >= best[r]) & ~keeps
                matched[r], best[r] = np.where(takes, i[:, None], held), np.where(takes, offered, best[r])
            chosen = matched[row[of_rank]]
            detection, threshold = np.nonzero(chosen >= 0)
            taken[chosen[detection, threshold], threshold] = True
        return np.ascontiguousarray(matched.T)


def _groups(
    values: Int64[np.ndarray, " n"], of: Int64[np.ndarray, " n"] | None = None
) -> list[Int64[np.ndarray, " _"]]:
    """Groups of equal values, by rising value: the members of `of`, or the indices if it is None."""
    order = np.argsort(values, kind="stable")
    bounds = np.flatnonzero(np.diff(values[order])) + 1
    groups = np.split(order if of is None else of[order], bounds)
    return groups if len(order) else []
