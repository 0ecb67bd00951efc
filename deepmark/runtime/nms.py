"""Non-maximum suppression: overlapping detections of the same category are removed (hard) or get lower scores (soft).

Detections of different categories do not compete: a jacket lies over a shirt.
"""

from dataclasses import replace

import numpy as np

from deepmark import geometry
from deepmark.runtime.pose_scores import with_pose_scores
from deepmark.shapes import Bool, Float64
from deepmark.types import Detections


def select(
    detections: Detections,
    *,
    nms: str | None,
    iou: float,
    sigma: float,
    min_score: float,
    most: int,
    rescore: bool = False,
) -> Detections:
    """The best `most` detections of at least `min_score`, after NMS, which is "hard", "soft", or None.

    With `rescore` they have pose scores.
    """
    if nms == "hard":
        detections = hard_nms(detections, iou=iou)
    elif nms == "soft":
        detections = soft_nms(detections, sigma=sigma)
    kept = detections[np.flatnonzero(detections.scores >= min_score)[:most]]
    return with_pose_scores(kept) if rescore else kept


def hard_nms(detections: Detections, *, iou: float) -> Detections:
    """Remove the detections that overlap a better one of their category by more than `iou`."""
    rivals = (_overlaps(detections) > iou) & _same_category(detections)
    kept = np.ones(len(detections), bool)
    for i in np.flatnonzero(rivals.sum(axis=1) > 1):
        if kept[i]:
            kept[i + 1 :] &= ~rivals[i, i + 1 :]
    return detections[kept]


def soft_nms(detections: Detections, *, sigma: float) -> Detections:
    """Multiply each score by exp(-iou² / sigma) for every better detection of its category; best first again.

    Source: Soft-NMS, 2017, section 3, the Gaussian form.
    """
    factors = np.where(_same_category(detections), np.exp(-(_overlaps(detections) ** 2) / sigma), 1)
    remaining = detections.scores.astype(np.float64)
    order, scores = np.empty(len(detections), np.int64), np.empty(len(detections))
    for place in range(len(detections)):
        best = remaining.argmax()
        order[place], scores[place] = best, remaining[best]
        remaining *= factors[best]
        remaining[best] = -1
    return replace(detections[order], scores=scores.astype(np.float32))


def _overlaps(detections: Detections) -> Float64[np.ndarray, "n n"]:
    boxes = detections.boxes.astype(np.float64)
    return geometry.box_iou(boxes, boxes)


def _same_category(detections: Detections) -> Bool[np.ndarray, "n n"]:
    return detections.categories[:, None] == detections.categories[None]
