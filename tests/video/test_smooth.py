"""Smooth landmarks: less jitter where a garment stands, little lag where it moves."""

import numpy as np

from deepmark.types import Detections
from deepmark.video.smooth import LandmarkSmoother
from deepmark.vocabulary import DEEPFASHION2

SIZE = 200.0
"""Side of the box, pixels."""


def detection(points):
    return Detections(
        boxes=np.array([(0, 0, SIZE, SIZE)], np.float32),
        scores=np.array([0.9], np.float32),
        categories=np.zeros(1, np.int64),
        landmarks=np.asarray(points, np.float32)[None],
        landmark_scores=np.ones((1, DEEPFASHION2.most_landmarks), np.float32),
    )


def smoothed(paths, *, rate=25.0, smoother=None):
    """The landmarks of one track after smoothing, frame by frame."""
    smoother = smoother or LandmarkSmoother()
    return np.stack(
        [smoother(detection(points), np.array([1]), frame / rate).landmarks[0] for frame, points in enumerate(paths)]
    )


def test_landmarks_that_stand_still_tremble_half_as_much_or_less():
    noise = np.random.default_rng(1).normal(0, 2, (100, DEEPFASHION2.most_landmarks, 2))

    steps = np.diff(smoothed(100 + noise), axis=0)

    assert steps.std() < 0.5 * np.diff(noise, axis=0).std()


def test_landmarks_that_move_lag_by_less_than_two_frames():
    frames = np.arange(50)[:, None, None]
    paths = np.tile(frames * 8.0, (1, DEEPFASHION2.most_landmarks, 2))  # the garment's own width in a second

    lag = (paths - smoothed(paths))[25:]

    assert (lag >= 0).all()
    assert lag.max() < 2 * 8


def test_the_first_frame_of_a_track_and_every_other_field_stay_as_they_are():
    first, second = (
        detection(np.full((DEEPFASHION2.most_landmarks, 2), 10.0)),
        detection(np.full((DEEPFASHION2.most_landmarks, 2), 90.0)),
    )
    smoother = LandmarkSmoother()

    assert (smoother(first, np.array([1]), 0.0).landmarks == first.landmarks).all()
    changed = smoother(second, np.array([1]), 0.04)
    assert not (changed.landmarks == second.landmarks).any()
    assert (changed.boxes == second.boxes).all()
    assert (smoother(second, np.array([2]), 0.08).landmarks == second.landmarks).all()


def test_a_garment_that_comes_back_after_more_than_a_second_starts_anew():
    smoother = LandmarkSmoother()
    smoother(detection(np.full((DEEPFASHION2.most_landmarks, 2), 10.0)), np.array([1]), 0.0)
    back = detection(np.full((DEEPFASHION2.most_landmarks, 2), 90.0))

    assert (smoother(back, np.array([1]), 1.5).landmarks == back.landmarks).all()


def test_the_same_filter_fits_near_and_far_garments():
    noise = np.random.default_rng(2).normal(0, 1, (60, DEEPFASHION2.most_landmarks, 2))
    frames = np.arange(60)[:, None, None] * 2.0
    near = smoothed(frames + noise)
    smoother = LandmarkSmoother()
    far = []
    for frame, points in enumerate((frames + noise) / 4):
        one = detection(points)
        one.boxes[:] = (0, 0, SIZE / 4, SIZE / 4)
        far.append(smoother(one, np.array([1]), frame / 25).landmarks[0])

    np.testing.assert_allclose(np.stack(far) * 4, near, rtol=1e-4, atol=1e-3)
