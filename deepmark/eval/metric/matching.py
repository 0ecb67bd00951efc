"""COCO's matching of detections to labelled garments, for all images at once.

In every image and category, in the order of their scores, each detection is matched to the free garment that it
overlaps most, at each of ten thresholds. Overlaps are computed once, for all garments and for every subset of them.
Source: pycocotools, COCOeval.evaluateImg; equal to it by test.
"""

from dataclasses import dataclass

import numpy as np

from deepmark.eval.metric.columns import DetectionColumns, Truth
from deepmark.eval.metric.overlaps import OVERLAPS
from deepmark.schema import Kind
from deepmark.shapes import Bool, Float32, Int32, Int64, UInt16
from deepmark.vocabulary import Vocabulary

MAX_DETECTIONS: dict[Kind, int] = {Kind.BBOX: 100, Kind.KEYPOINTS: 20}
"""Detections that count in an image and category, the best ones first; COCO's limits."""

AREA_LIMIT = 1e10
"""COCO's area range "all", square pixels; a box whose corners are the wrong way round lies outside of it."""

_BITS: UInt16[np.ndarray, "10"] = 1 << np.arange(len(OVERLAPS), dtype=np.uint16)
"""Of each threshold, in the flags of a detection."""

EVERY: np.uint16 = _BITS.sum(dtype=np.uint16)
"""The flags of all thresholds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Matches:
    """The match of every detection and garment; detections are sorted by category, then best first."""

    vocabulary: Vocabulary

    image_count: int
    """How many images there are, including those without garments or detections."""

    result: Int32[np.ndarray, " m"]
    """The row of `DetectionColumns`."""

    image: Int32[np.ndarray, " m"]
    category: Int32[np.ndarray, " m"]
    scores: Float32[np.ndarray, " m"]

    item: Int32[np.ndarray, " m"]
    """The row of `Truth` that it is matched to at the first threshold of `OVERLAPS`; -1 for none."""

    found: UInt16[np.ndarray, " m"]
    """Bit t: whether it is matched to an item at threshold t."""

    counted: UInt16[np.ndarray, " m"]
    """Bit t is 0 if it is matched to an ignored garment, or to none while its own area is out of COCO's range."""

    to_find: Bool[np.ndarray, " n"]
    """Which garments are not ignored."""

    item_image: Int64[np.ndarray, " n"]
    item_category: Int64[np.ndarray, " n"]

    def in_category(self, category: int) -> slice:
        """The rows of one category's detections."""
        return slice(*np.searchsorted(self.category, [category, category + 1]).tolist())

    def found_at(self, threshold: int, rows: slice = slice(None)) -> Bool[np.ndarray, " r"]:
        """Whether these detections are matched to an item at a threshold."""
        return (self.found[rows] & _BITS[threshold]) > 0

    def counted_at(self, threshold: int, rows: slice = slice(None)) -> Bool[np.ndarray, " r"]:
        """Whether these detections count at a threshold."""
        return (self.counted[rows] & _BITS[threshold]) > 0


class Matching:
    """The matching of detections to truth by one of `names.KINDS`; by landmarks, a garment without any is ignored."""

    def __init__(self, truth: Truth, results: DetectionColumns, kind: str) -> None:
        self._truth = truth
        of = Kind.BBOX if kind == "box" else Kind.KEYPOINTS
        self._ignored = np.zeros(len(truth), bool) if kind == "box" else ~truth.labelled(kind)
        scores = results.scores if of is Kind.BBOX else results.pose_scores
        self._result, rank = _ranked(results, scores, MAX_DETECTIONS[of], len(truth.vocabulary.categories))
        self._image, self._category = results.image[self._result], results.category[self._result]
        self._scores = scores[self._result]
        self._in_range = _in_range(results.boxes)[self._result]
        row = np.full(len(results), -1, np.int32)
        row[self._result] = np.arange(len(self._result), dtype=np.int32)
        near = results.near[kind]
        kept = row[near.detection] >= 0
        self._near = row[near.detection[kept]], near.item[kept], near.overlap[kept]
        self._rank = rank[self._near[0]]

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
        # Most detections overlap no garment, and are matched to none at any threshold.
        near, matched = self._match(ignored)
        rows: slice | np.ndarray = slice(None)
        place = near
        if items is not None:
            held, chosen = holds[self._image[near]], np.flatnonzero(holds[self._image])
            rows, place, matched = chosen, np.searchsorted(chosen, near[held]), matched[held]
        image, in_range = self._image[rows], self._in_range[rows]
        item = np.full(len(image), -1, np.int32)
        found = np.zeros(len(image), np.uint16)
        counted = in_range * EVERY
        item[place] = matched[:, 0]
        found[place] = _flags(matched >= 0)
        counted[place] = _flags(np.where(matched < 0, in_range[place, None], ~np.append(ignored, True)[matched]))
        return Matches(
            vocabulary=truth.vocabulary,
            image_count=len(truth.images),
            result=self._result[rows],
            image=image,
            category=self._category[rows],
            scores=self._scores[rows],
            item=item,
            found=found,
            counted=counted,
            to_find=~ignored,
            item_image=truth.image,
            item_category=truth.category,
        )

    def _match(self, ignored: Bool[np.ndarray, " n"]) -> tuple[Int32[np.ndarray, " d"], Int32[np.ndarray, "d 10"]]:
        """The detections that overlap a garment, and the garments that they are matched to."""
        near, item, overlap = self._near
        detections, row = np.unique(near, return_inverse=True)
        # A detection tries its garments in turn, ignored ones last; of two equal overlaps the later garment wins.
        by_turn = np.lexsort((item, ignored[item], row))
        starts = np.flatnonzero(np.diff(row[by_turn], prepend=-1))
        turn = np.empty_like(row)
        turn[by_turn] = np.arange(len(row)) - np.repeat(starts, np.diff(starts, append=len(row)))

        matched = np.full((len(detections), len(OVERLAPS)), -1, np.int32)
        best = np.tile(np.minimum(OVERLAPS, 1 - 1e-10), (len(detections), 1))
        taken = np.zeros((len(ignored), len(OVERLAPS)), bool)
        for of_rank in _groups(self._rank):
            for pairs in _groups(turn[of_rank], of_rank):
                r, i = row[pairs], item[pairs]
                held, offered = matched[r], overlap[pairs, None]
                keeps = (held >= 0) & ~ignored[held] & ignored[i, None]
                takes = ~taken[i] & (offered >= best[r]) & ~keeps
                matched[r], best[r] = np.where(takes, i[:, None], held), np.where(takes, offered, best[r])
            chosen = matched[row[of_rank]]
            detection, threshold = np.nonzero(chosen >= 0)
            taken[chosen[detection, threshold], threshold] = True
        return detections, matched


def _in_range(boxes: Float32[np.ndarray, "m 4"]) -> Bool[np.ndarray, " m"]:
    """Whether the areas of boxes are in COCO's range."""
    area = np.subtract(boxes[:, 2], boxes[:, 0], dtype=np.float64)
    area *= np.subtract(boxes[:, 3], boxes[:, 1], dtype=np.float64)
    return (area >= 0) & (area <= AREA_LIMIT)


def _flags(of_thresholds: Bool[np.ndarray, "d 10"]) -> UInt16[np.ndarray, " d"]:
    return (of_thresholds * _BITS).sum(1, dtype=np.uint16)


def _ranked(
    results: DetectionColumns, scores: Float32[np.ndarray, " m"], most: int, categories: int
) -> tuple[Int32[np.ndarray, " k"], Int32[np.ndarray, " k"]]:
    """The best detections of each image and category, by category and score, and their ranks in the image."""
    cells = results.image.astype(np.int64) * categories + results.category
    order = np.lexsort((-scores, cells)).astype(np.int32)
    cells = cells[order]
    rank = np.arange(len(order)) - np.searchsorted(cells, cells, "left")
    kept = rank < most
    order, rank = order[kept], rank[kept].astype(np.int32)
    by_score = np.lexsort((-scores[order], results.category[order]))
    return order[by_score], rank[by_score]


def _groups(
    values: Int32[np.ndarray, " n"] | Int64[np.ndarray, " n"], of: Int64[np.ndarray, " n"] | None = None
) -> list[Int64[np.ndarray, " _"]]:
    """Groups of equal values, by rising value: the members of `of`, or the indices if it is None."""
    order = np.argsort(values, kind="stable")
    bounds = np.flatnonzero(np.diff(values[order])) + 1
    groups = np.split(order if of is None else of[order], bounds)
    return groups if len(order) else []
