"""Which detection belongs to which labelled item, one to one within a category, and how far to trust it.

A detection's confidence is not its score but the share of detections of about this score that agree with a label, in
category and place, so that the scores of any model mean the same. Only detections that are more often right than wrong
are used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from deepmark.audit.labels import Labels
from deepmark.audit.outlier_score import isotonic_regression
from deepmark.geometry import box_areas, box_iou
from deepmark.schema import FOUND_SCORE, SAME_GARMENT_IOU
from deepmark.shapes import Bool, Complex, Float, Int64
from deepmark.types import Detections
from deepmark.vocabulary import check_same

_REMEDY = "Audit with predictions of a model that was trained on these records: run `deepmark predict` again."

MIN_CONFIDENCE = 0.5
"""Confidence from which a detection may contradict a label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelMatches:
    """For every item of Labels, the detection that belongs to it."""

    boxes: Float[np.ndarray, "n 4"]
    """NaN where nothing belongs to the item."""

    landmarks: Float[np.ndarray, "n most_landmarks 2"]
    confidence: Float[np.ndarray, " n"]
    """0 where nothing belongs to the item."""

    def points(
        self, rows: Int64[np.ndarray, " n"], count: int
    ) -> tuple[Complex[np.ndarray, "n k"], Float[np.ndarray, " n"]]:
        """The detected landmarks of items as x + iy, and the root of the detected box's area; NaN if not detected."""
        landmarks = self.landmarks[rows, :count]
        return landmarks[..., 0] + 1j * landmarks[..., 1], np.sqrt(box_areas(self.boxes[rows]))


def with_min_score(detections: Detections) -> Detections:
    """The detections that are not ignored: about ten of a hundred in an image."""
    return detections[detections.scores >= FOUND_SCORE]


def match_labels(labels: Labels, predictions: Mapping[str, Mapping[int, Detections]]) -> LabelMatches:
    """Match detections, by split and image, to items; items of other images have none.

    Raises DeepmarkError where detections are of another vocabulary than the labels.
    """
    rows_of: dict[tuple[str, int], list[int]] = {}
    for row, key in enumerate(zip(labels.splits, labels.image_ids.tolist(), strict=True)):
        rows_of.setdefault(key, []).append(row)
    matches = LabelMatches(
        boxes=np.full((len(labels), 4), np.nan),
        landmarks=np.full((*labels.landmarks.shape[:2], 2), np.nan),
        confidence=np.zeros(len(labels)),
    )
    for split, found in predictions.items():
        candidates = _candidates(labels, split, found, rows_of)
        # of each split by itself, for its networks may be others
        for image, confidence in zip(candidates, _confidences(labels, candidates), strict=True):
            match = _match_image(labels, image, confidence)
            rows, chosen = image.rows[match >= 0], match[match >= 0]
            matches.boxes[rows] = image.detections.boxes[chosen]
            matches.landmarks[rows] = image.detections.landmarks[chosen]
            matches.confidence[rows] = confidence[chosen]
    return matches


def _candidates(
    labels: Labels, split: str, predictions: Mapping[int, Detections], rows_of: Mapping[tuple[str, int], list[int]]
) -> list["_Candidates"]:
    candidates = []
    for image_id, detections in predictions.items():
        if detections.vocabulary is not labels.vocabulary:
            check_same(
                labels.vocabulary, "the set of records", detections.vocabulary, "the set of predictions", _REMEDY
            )
        rows = np.array(rows_of.get((split, image_id), []), np.int64)
        strong = with_min_score(detections)
        overlaps = box_iou(labels.boxes[rows], strong.boxes.astype(np.float64))
        candidates.append(_Candidates(rows, strong, overlaps))
    return candidates


class _Candidates(NamedTuple):
    """An image before its detections are matched."""

    rows: Int64[np.ndarray, " _"]
    """The rows of Labels that are its items."""

    detections: Detections
    overlaps: Float[np.ndarray, "_ _"]

    def same_category(self, labels: Labels) -> Bool[np.ndarray, "_ _"]:
        """Whether item and detection are of one category."""
        return labels.category[self.rows][:, None] == self.detections.categories


def _confidences(labels: Labels, images: Sequence[_Candidates]) -> list[Float[np.ndarray, " _"]]:
    """For each detection of each image, the share of detections of about the same score that are right."""
    if not images:
        return []
    scores = np.concatenate([image.detections.scores for image in images])
    hits = np.concatenate([_are_right(labels, image) for image in images])
    shares = isotonic_regression(scores.astype(np.float64), hits)
    ends = np.cumsum([len(image.detections) for image in images])
    return np.split(shares, ends[:-1])


def _are_right(labels: Labels, image: _Candidates) -> Bool[np.ndarray, " _"]:
    """Whether each detection is the best one of its category on an item."""
    right = np.zeros(len(image.detections), bool)
    for on_item in image.same_category(labels) & (image.overlaps >= SAME_GARMENT_IOU):
        if on_item.any():
            right[int(on_item.argmax())] = True  # detections come best first
    return right


def _match_image(labels: Labels, image: _Candidates, confidence: Float[np.ndarray, " _"]) -> Int64[np.ndarray, " _"]:
    """For each item the confident detection of its category that belongs to it, the pairs that overlap most first."""
    usable = image.same_category(labels) & (confidence >= MIN_CONFIDENCE) & (image.overlaps > 0)
    match = np.full(len(image.rows), -1)
    pairs = np.argwhere(usable)
    order = np.argsort(-image.overlaps[usable], kind="stable")
    for i, d in pairs[order].tolist():
        if match[i] < 0 and d not in match:
            match[i] = d
    return match
