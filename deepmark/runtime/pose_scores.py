"""Scores of landmark results: a garment's score, lowered where its landmarks have low heatmap peaks.

The landmark metric ranks results by one score each, and the centre's says little of how well the landmarks are placed.
"""

from dataclasses import replace

import numpy as np

from deepmark.types import Detections
from deepmark.types.detections import OWN_LANDMARKS


def with_pose_scores(detections: Detections) -> Detections:
    """The detections with pose scores: score x sqrt(m), with m the mean over the category's landmarks of the height of
    the peak that placed each, 0 where none did.

    Boxes keep their scores, and no order changes. All are probabilities without a unit, 0..1.
    Source: the published code of Simple Baselines for Human Pose Estimation, 2018, multiplies a box's score by the mean
    height of its keypoints' peaks; the square root, which lets the peaks weigh less, is ours.
    """
    own = OWN_LANDMARKS[detections.categories]
    mean = np.where(own, detections.landmark_scores, 0).sum(1, dtype=np.float64) / own.sum(1)
    scores = detections.scores * np.sqrt(mean)
    return replace(detections, pose_scores=scores.astype(np.float32))
