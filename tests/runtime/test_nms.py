import numpy as np
import pytest
from reference import hard_nms_plainly, soft_nms_plainly

from deepmark.runtime.nms import hard_nms, soft_nms
from deepmark.types import Detections


def detections(boxes: list, scores: list, categories: list) -> Detections:
    count = len(scores)
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        categories=np.array(categories, np.int64),
        landmarks=np.arange(count * 78, dtype=np.float32).reshape(count, 39, 2),
        landmark_scores=np.zeros((count, 39), np.float32),
    )


def random_detections(seed: int, count: int = 200, categories: int = 13) -> Detections:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 100, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(20, 100, (count, 2))], axis=1)
    return detections(boxes.tolist(), sorted(rng.random(count), reverse=True), rng.integers(categories, size=count))


@pytest.mark.parametrize("categories", [1, 13])
@pytest.mark.parametrize("iou", [0.0, 0.3, 0.5, 1.0])
def test_hard_nms_equals_the_plain_reference(categories: int, iou: float) -> None:
    found = random_detections(1, categories=categories)

    kept = hard_nms(found, iou=iou)

    rows = hard_nms_plainly(found.boxes.astype(float), found.categories, iou)
    np.testing.assert_array_equal(kept.landmarks, found.landmarks[rows])
    np.testing.assert_array_equal(kept.scores, found.scores[rows])


@pytest.mark.parametrize("categories", [1, 13])
@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_soft_nms_equals_the_plain_reference(categories: int, sigma: float) -> None:
    found = random_detections(2, categories=categories)

    kept = soft_nms(found, sigma=sigma)

    wanted = soft_nms_plainly(found.boxes.astype(float), found.scores, found.categories, sigma)
    np.testing.assert_array_equal(kept.landmarks, found.landmarks[[row for row, _ in wanted]])
    np.testing.assert_allclose(kept.scores, [score for _, score in wanted], rtol=1e-6, atol=1e-30)


def test_soft_nms_leaves_every_detection_once_and_best_first() -> None:
    found = random_detections(3, categories=2)

    kept = soft_nms(found, sigma=0.5)

    assert sorted(kept.landmarks[:, 0, 0]) == sorted(found.landmarks[:, 0, 0])
    assert (np.diff(kept.scores) <= 0).all()
    assert not np.array_equal(kept.landmarks, found.landmarks)


def test_garments_of_different_categories_do_not_compete() -> None:
    found = detections([[0, 0, 10, 10]] * 2, [0.9, 0.8], [0, 1])

    assert len(hard_nms(found, iou=0.5)) == 2
    assert soft_nms(found, sigma=0.5).scores.tolist() == found.scores.tolist()


def test_a_removed_detection_removes_nothing_itself() -> None:
    found = detections([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], [0.9, 0.8, 0.7], [0, 0, 0])

    assert hard_nms(found, iou=0.4).landmarks[:, 0, 0].tolist() == [0, 156]


@pytest.mark.parametrize("count", [0, 1])
def test_none_and_one_detection_stay_as_they_are(count: int) -> None:
    found = random_detections(4, count=count)

    assert len(hard_nms(found, iou=0.5)) == len(soft_nms(found, sigma=0.5)) == count


def test_empty_boxes_overlap_nothing() -> None:
    found = detections([[5, 5, 5, 5]] * 2, [0.9, 0.8], [0, 0])

    assert len(hard_nms(found, iou=0.5)) == 2


def test_joined_detections_are_best_first_and_keep_their_landmarks() -> None:
    found = random_detections(5)

    joined = Detections.concatenate([found[1::2], found[np.arange(0, 200, 2)]])

    np.testing.assert_array_equal(joined.scores, found.scores)
    np.testing.assert_array_equal(joined.landmarks, found.landmarks)
