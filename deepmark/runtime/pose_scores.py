"""Scores of landmark results: a garment's score, lowered where its landmarks have low heatmap peaks.

The landmark metric ranks results by one score each, and the centre's says little of how well the landmarks are placed.
"""

from dataclasses import replace

import numpy as np

from deepmark.types import Detections


def with_pose_scores(detections: Detections) -> Detections:
    """The detections with pose scores: score x sqrt(m), with m the mean over the category's landmarks of the height of
    the peak that placed each, 0 where none did. A category without landmarks has the score of its box.

    Boxes keep their scores, and no order changes. All are probabilities without a unit, 0..1.
    Source: the published code of Simple Baselines for Human Pose Estimation, 2018, multiplies a box's score by the mean
    height of its keypoints' peaks; the square root, which lets the peaks weigh less, is ours.
    """
    own = detections.vocabulary.own_landmarks[detections.categories]
    count = own.sum(1)
    mean = np.where(own, detections.landmark_scores, 0).sum(1, dtype=np.float64) / np.maximum(count, 1)
    mean[count == 0] = 1
    scores = detections.scores * np.sqrt(mean)
    return replace(detections, pose_scores=scores.astype(np.float32))
