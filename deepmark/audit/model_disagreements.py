"""Labels that a confident model contradicts: another category, another place, or a garment without a label."""

from collections.abc import Iterator

import numpy as np

from deepmark.audit.label_issue import LabelIssue
from deepmark.audit.label_matching import ImageMatches, LabelMatches
from deepmark.audit.labels import Labels
from deepmark.audit.outlier_score import log_evidence, outlier_score, typical_range
from deepmark.geometry import box_areas, box_iou
from deepmark.schema import SAME_GARMENT_IOU

_ASSUMED_SPREAD, _MIN_SPREAD = 0.1, 0.015
"""Spread of the distance between a detected and a labelled side before any was image, and its lower bound; in roots of
the box's area."""

_UNLABELLED_IOU = 0.3
"""A detection that overlaps every labelled box by less than this is of no labelled garment."""


def misplaced_items(
    labels: Labels, matches: LabelMatches, *, faulty_share: float, min_score: float
) -> Iterator[LabelIssue]:
    """Items whose box deviates from the model's more than this model's boxes usually do; weighed by its confidence."""
    sides = (labels.boxes - matches.boxes) / np.sqrt(box_areas(matches.boxes))[:, None]
    deviations = typical_range(sides, assumed_spread=_ASSUMED_SPREAD, min_spread=_MIN_SPREAD).deviations(sides)
    # A shifted box moves all four sides, but only two of them independently: half of the sum.
    scores = outlier_score(log_evidence(deviations).sum(axis=1) / 2, faulty_share=faulty_share) * matches.confidence
    for row in np.flatnonzero(scores >= min_score).tolist():
        overlap = box_iou(labels.boxes[row : row + 1], matches.boxes[row : row + 1])[0, 0]
        reason = (
            f"the model's {_name(labels, row)} (confidence {matches.confidence[row]:.2f}) overlaps the box by "
            f"{overlap:.2f} only; a side differs by {_worst(labels, matches, row):.0f} px"
        )
        yield labels.issue(row, "elsewhere", float(scores[row]), reason, box=matches.boxes[row])


def _name(labels: Labels, row: int) -> str:
    return labels.vocabulary.categories[labels.category[row]].name


def _worst(labels: Labels, matches: LabelMatches, row: int) -> float:
    return float(np.abs(labels.boxes[row] - matches.boxes[row]).max())


def wrong_categories_and_missing_labels(
    labels: Labels, matches: LabelMatches, *, min_score: float
) -> Iterator[LabelIssue]:
    """Detections that belong to no item: on an item of another category, away from their item, or alone."""
    for image in matches.images:
        for i in range(len(image.rows)):
            yield from _wrong_category(labels, image, i, min_score)
        for d in image.unmatched():
            yield from _missing_label(labels, image, d, min_score)


def _wrong_category(labels: Labels, image: ImageMatches, i: int, min_score: float) -> Iterator[LabelIssue]:
    """The item, where a detection of another category lies on it rather than on another item."""
    row, own = int(image.rows[i]), _own_confidence(labels, image, i)
    others = image.detections.categories != labels.category[row]
    free = others & ~np.isin(np.arange(len(image.detections)), image.match)
    on_item = free & (image.overlaps[i] >= SAME_GARMENT_IOU) & (image.overlaps.argmax(axis=0) == i)
    scores = np.where(on_item, image.confidence * image.overlaps[i], 0.0) * (1 - own)
    d = int(scores.argmax()) if len(scores) else -1
    if d >= 0 and scores[d] >= min_score:
        category = labels.vocabulary.categories[image.detections.categories[d]].name
        reason = (
            f"the model sees a {category} here (confidence {image.confidence[d]:.2f}, "
            f"overlap {image.overlaps[i, d]:.2f}), not a {_name(labels, row)} ({own:.2f})"
        )
        box = image.detections.boxes[d].astype(np.float64)
        yield labels.issue(row, "wrong category", float(scores[d]), reason, box=box)


def _own_confidence(labels: Labels, image: ImageMatches, i: int) -> float:
    """How confident the model is of the labelled category in this place."""
    same = (image.detections.categories == labels.category[image.rows[i]]) & (image.overlaps[i] >= SAME_GARMENT_IOU)
    return float(image.confidence[same].max(initial=0.0))


def _missing_label(labels: Labels, image: ImageMatches, d: int, min_score: float) -> Iterator[LabelIssue]:
    overlap = float(image.overlaps[:, d].max(initial=0.0))
    box = image.detections.boxes[d].astype(np.float64)
    confidence, name = float(image.confidence[d]), labels.vocabulary.categories[image.detections.categories[d]].name
    if overlap >= _UNLABELLED_IOU or confidence * (1 - overlap) < min_score:
        return
    place = "where nothing is labelled" if overlap == 0 else f"where the next label overlaps by {overlap:.2f} only"
    displaced = [
        int(row)
        for row, match in zip(image.rows, image.match, strict=True)
        if match < 0 and labels.category[row] == image.detections.categories[d]
    ]
    reason = f"the model sees a {name} (confidence {confidence:.2f}) {place}"
    if displaced:
        yield labels.issue(displaced[0], "elsewhere", confidence * (1 - overlap), reason, box=box)
    else:
        yield LabelIssue(
            split=image.split,
            image_id=image.image_id,
            item=None,
            category=None,
            kind="missing label",
            score=confidence * (1 - overlap),
            reason=reason,
            box=box,
        )
