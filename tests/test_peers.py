"""The files that benchmarks/peers.py writes for other detectors say what the records say."""

import json
import sys

import numpy as np
import pytest
from workspaces import REPOSITORY

from deepmark.types import Garment
from deepmark.vocabulary import DEEPFASHION2

sys.path.append(str(REPOSITORY / "benchmarks"))

from peers_common import Task, own_landmarks, write_results
from peers_yolo import data_yaml, garment_line, read_line, shared_sigmas

SIZE = (480, 640)


def garment(category: int, seed: int) -> Garment:
    rng = np.random.default_rng(seed)
    count = DEEPFASHION2.categories[category].landmarks
    v = rng.integers(0, 3, count)
    points = rng.random((count, 2)) * SIZE
    x0, y0 = rng.uniform(0, 200, 2)
    return Garment(
        item="item1",
        category=category,
        style=0,
        box=np.array([x0, y0, x0 + rng.uniform(10, 200), y0 + rng.uniform(10, 200)]),
        landmarks=np.column_stack([points * (v > 0)[:, None], v]),
        polygons=(),
        scale=1,
        occlusion=1,
        zoom_in=1,
        viewpoint=1,
    )


@pytest.mark.parametrize("landmarks", [DEEPFASHION2.most_landmarks, DEEPFASHION2.landmarks])
def test_a_line_of_ultralytics_says_what_the_garment_says(landmarks):
    for category in DEEPFASHION2.categories:
        given = garment(category.index, seed=category.index)
        line = garment_line(given, SIZE, landmarks)

        found, box, points = read_line(line, SIZE)

        assert len(line.split()) == 5 + 3 * landmarks
        assert found == category.index
        np.testing.assert_allclose(box, given.box, rtol=0, atol=1e-9)
        np.testing.assert_allclose(points, given.landmarks, rtol=0, atol=1e-9)


@pytest.mark.parametrize("landmarks", [DEEPFASHION2.most_landmarks, DEEPFASHION2.landmarks])
def test_landmarks_of_other_categories_are_not_labelled(landmarks):
    for category in DEEPFASHION2.categories:
        given = garment(category.index, seed=1)
        rows = np.array(garment_line(given, SIZE, landmarks).split()[5:], float).reshape(-1, 3)
        start = category.start if landmarks == DEEPFASHION2.landmarks else 0
        others = np.delete(rows, np.arange(start, start + category.landmarks), axis=0)

        assert not others.any()
        assert (rows[:, 2] > 0).sum() == (given.landmarks[:, 2] > 0).sum()


def test_a_landmark_outside_the_image_is_not_labelled():
    given = garment(0, seed=1)
    given.landmarks[0], given.landmarks[1] = (481, 5, 2), (480, 5, 2)

    _, _, points = read_line(garment_line(given, SIZE, DEEPFASHION2.landmarks), SIZE)

    assert points[0].tolist() == [0, 0, 0]
    assert points[1].tolist() == [480, 5, 2]


def test_only_the_flat_list_has_an_exchange_of_channels_for_mirroring(tmp_path):
    flat, shared = (
        json.loads(data_yaml(tmp_path, landmarks))
        for landmarks in (DEEPFASHION2.landmarks, DEEPFASHION2.most_landmarks)
    )

    assert flat["flip_idx"] == list(DEEPFASHION2.mirror)
    assert "flip_idx" not in shared
    assert (
        len(
            {
                category.mirror[: min(each.landmarks for each in DEEPFASHION2.categories)]
                for category in DEEPFASHION2.categories
            }
        )
        > 1
    )


def test_a_shared_channel_has_the_mean_sigma_of_those_who_share_it():
    longest = max(DEEPFASHION2.categories, key=lambda category: category.landmarks)

    assert len(shared_sigmas()) == DEEPFASHION2.most_landmarks
    assert shared_sigmas()[-1] == pytest.approx(longest.sigmas[-1])
    assert shared_sigmas()[0] == pytest.approx(np.mean([category.sigmas[0] for category in DEEPFASHION2.categories]))


@pytest.mark.parametrize("landmarks", [DEEPFASHION2.most_landmarks, DEEPFASHION2.landmarks])
def test_results_put_a_categorys_landmarks_at_their_place_of_294(tmp_path, landmarks):
    spans = [(category.span.start, category.span.stop) for category in DEEPFASHION2.categories]
    task = Task(
        folder=tmp_path,
        images={},
        names=[],
        spans=spans,
        mirror=[],
        sigmas=[],
        input_size=(1, 1),
        batch=1,
        threads=1,
        minutes=1,
        seconds=1,
    )
    rng = np.random.default_rng(1)
    for category in DEEPFASHION2.categories:
        rows = rng.random((landmarks, 2))
        own = own_landmarks(task, category.index, rows)
        write_results(tmp_path / "results.json", task, [(7, [(category.index, 0.5, (1.0, 2.0, 4.0, 8.0), own)])])
        (result,) = json.loads((tmp_path / "results.json").read_text())
        keypoints = np.array(result["keypoints"]).reshape(-1, 3)
        start = category.start if landmarks == DEEPFASHION2.landmarks else 0

        assert (result["image_id"], result["category_id"], result["bbox"]) == (7, category.index + 1, [1, 2, 3, 6])
        assert keypoints[category.span, :2].tolist() == rows[start : start + category.landmarks].tolist()
        assert keypoints[:, 2].sum() == category.landmarks
