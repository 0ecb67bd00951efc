"""The numbers of garments from frame to frame."""

import numpy as np
import pytest

from deepmark.types import Detections
from deepmark.video.motion import BoxMotion
from deepmark.video.track import Tracker
from deepmark.vocabulary import DEEPFASHION2


def detections(*garments):
    """Each is (left edge, score) or (left edge, score, category), 40 x 80 pixels; best first."""
    garments = sorted(
        (garment if len(garment) == 3 else (*garment, "vest") for garment in garments), key=lambda g: -g[1]
    )
    count = len(garments)
    return Detections(
        boxes=np.array([(x, 10, x + 40, 90) for x, _, _ in garments], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in garments], np.float32),
        categories=np.array([DEEPFASHION2.by_name[name].index for _, _, name in garments], np.int64),
        landmarks=np.zeros((count, DEEPFASHION2.most_landmarks, 2), np.float32),
        landmark_scores=np.zeros((count, DEEPFASHION2.most_landmarks), np.float32),
    )


def numbers(tracker, *garments):
    """The left edges of what has a number, by number."""
    found = detections(*garments)
    rows, tracks = tracker(found)
    return {track: round(float(found.boxes[row, 0])) for row, track in zip(rows.tolist(), tracks.tolist(), strict=True)}


def test_garments_keep_their_numbers_while_they_move():
    tracker = Tracker()

    for step in range(20):
        assert numbers(tracker, (5 * step, 0.9), (400 - 5 * step, 0.8)) == {1: 5 * step, 2: 400 - 5 * step}


def test_a_garment_that_is_not_found_for_ten_frames_keeps_its_number():
    tracker = Tracker()
    for step in range(10):
        numbers(tracker, (4 * step, 0.9))
    for _ in range(10):
        assert numbers(tracker) == {}

    assert numbers(tracker, (80, 0.9)) == {1: 80}


def test_one_that_stays_away_for_longer_than_a_second_comes_back_with_a_new_number():
    tracker = Tracker()
    for _ in range(3):
        numbers(tracker, (100, 0.9))
    for _ in range(31):
        numbers(tracker)
    numbers(tracker, (100, 0.9))

    assert numbers(tracker, (100, 0.9)) == {2: 100}


def test_an_unsure_detection_continues_a_track_and_starts_none():
    tracker = Tracker()
    numbers(tracker, (0, 0.9))

    for _ in range(5):
        assert numbers(tracker, (0, 0.15), (200, 0.15)) == {1: 0}


def test_detections_below_the_least_score_are_not_looked_at():
    tracker = Tracker()
    numbers(tracker, (0, 0.9))

    assert numbers(tracker, (0, 0.09)) == {}


def test_a_garment_that_appears_later_has_a_number_once_it_is_found_in_two_frames():
    tracker = Tracker()
    numbers(tracker, (0, 0.9))

    assert numbers(tracker, (0, 0.9), (200, 0.8)) == {1: 0}
    assert numbers(tracker, (0, 0.9), (200, 0.8)) == {1: 0, 2: 200}


def test_what_is_found_in_one_frame_only_takes_no_number():
    tracker = Tracker()
    numbers(tracker, (0, 0.9))
    numbers(tracker, (0, 0.9), (200, 0.8))
    numbers(tracker, (0, 0.9))
    numbers(tracker, (0, 0.9), (300, 0.8))

    assert numbers(tracker, (0, 0.9), (300, 0.8)) == {1: 0, 2: 300}


def test_a_track_is_continued_by_its_own_category_only():
    tracker = Tracker()
    numbers(tracker, (0, 0.9, "vest"), (0, 0.8, "skirt"))

    for score in (0.9, 0.7):
        found = detections((0, score, "vest"), (0, 0.8, "skirt"))
        rows, tracks = tracker(found)
        names = dict(zip(tracks.tolist(), found.categories[rows].tolist(), strict=True))
        assert names == {1: DEEPFASHION2.by_name["vest"].index, 2: DEEPFASHION2.by_name["skirt"].index}


def test_garments_of_one_category_that_cross_keep_their_numbers_though_one_is_hidden_then():
    tracker = Tracker()
    for step in range(41):
        left, right = 6 * step, 240 - 6 * step
        hidden = abs(left - right) < 40
        found = numbers(tracker, *([(left, 0.9)] if hidden else [(left, 0.9), (right, 0.8)]))

        assert found == ({1: left} if hidden else {1: left, 2: right})


def test_an_empty_image_is_no_fault():
    assert numbers(Tracker()) == {}


def test_motion_learns_a_constant_velocity():
    motion = BoxMotion(np.array([0.0, 0, 40, 80]))
    for step in range(1, 40):
        motion.predict()
        motion.update(np.array([3.0 * step, 0, 40 + 3 * step, 80]))
    motion.predict()

    assert motion.box.tolist() == pytest.approx([120, 0, 160, 80], abs=0.5)
