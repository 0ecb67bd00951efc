"""Landmark results with a score of their own: the garment's times the root of the mean height of its peaks."""

from dataclasses import replace

import numpy as np
import pytest
from eval_samples import detections
from small_detector import small_detector
from small_onnx import CONTRACT, small_onnx
from vocabularies import SMALL

from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor
from deepmark.runtime.nms import select
from deepmark.runtime.onnx_detector import OnnxDetector
from deepmark.runtime.pose_scores import with_pose_scores
from deepmark.types import COLUMNS, Detections
from deepmark.vocabulary import DEEPFASHION2

NMS = {"iou": 0.5, "sigma": 0.5, "min_score": 0.0, "most": 100}


def test_a_score_falls_with_the_mean_of_the_peaks_and_boxes_keep_theirs():
    found = detections(("skirt", (0, 0, 50, 90), 0.8), ("vest", (60, 0, 90, 90), 0.5))
    found.landmark_scores[0, : DEEPFASHION2.by_name["skirt"].landmarks] = 0.25
    found.landmark_scores[1, :3] = 0.6  # no peak placed the other twelve

    rescored = with_pose_scores(found)

    np.testing.assert_allclose(rescored.pose_scores, [0.8 * 0.5, 0.5 * np.sqrt(3 * 0.6 / 15)], rtol=1e-6)
    assert all(np.array_equal(getattr(rescored, name), getattr(found, name)) for name in COLUMNS)


def test_a_garment_without_landmarks_has_the_score_of_its_box():
    found = Detections(
        boxes=np.array([[0, 0, 9, 9], [0, 0, 5, 5]], np.float32),
        scores=np.array([0.8, 0.5], np.float32),
        categories=np.array([SMALL.by_name["hat"].index, SMALL.by_name["bag"].index]),
        landmarks=np.zeros((2, 6, 2), np.float32),
        landmark_scores=np.array([[0] * 6, [0.25] * 4 + [0, 0]], np.float32),
        vocabulary=SMALL,
    )

    np.testing.assert_allclose(with_pose_scores(found).pose_scores, [0.8, 0.25], rtol=1e-6)


def test_an_image_without_garments_has_no_pose_scores_to_give():
    assert with_pose_scores(detections()).pose_scores.shape == (0,)


@pytest.mark.parametrize("nms", [None, "hard", "soft"])
def test_rows_and_scores_are_those_of_nms_and_pose_scores_follow_from_them(nms):
    found = detections(("vest", (0, 0, 50, 90), 0.8), ("vest", (3, 0, 50, 90), 0.7), ("skirt", (0, 0, 9, 9), 0.3))
    found.landmark_scores[:, :8] = 0.5
    plain, rescored = (select(found, nms=nms, rescore=on, **NMS) for on in (False, True))

    assert plain.pose_scores is None
    assert all(np.array_equal(getattr(rescored, name), getattr(plain, name)) for name in COLUMNS)
    np.testing.assert_array_equal(rescored.pose_scores, with_pose_scores(plain).pose_scores)


@pytest.mark.parametrize("strategy", ["none", "nms", "flip", "multiscale"])
def test_every_strategy_rescores_and_changes_nothing_else(strategy):
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    plain, rescored = (
        Predictor(small_detector(), strategy, PROFILE_PREDICT_PARAMS.model_copy(update={"rescore": on}))([image])[0]
        for on in (False, True)
    )

    assert plain.pose_scores is None
    assert len(rescored) > 0
    assert all(np.array_equal(getattr(rescored, name), getattr(plain, name)) for name in COLUMNS)
    np.testing.assert_array_equal(rescored.pose_scores, with_pose_scores(plain).pose_scores)


def test_an_exported_file_rescores_where_its_contract_says_so(tmp_path):
    contract = replace(CONTRACT, predict=replace(CONTRACT.predict, rescore=True))
    image = np.full((64, 128, 3), 255, np.uint8)
    plain = OnnxDetector(small_onnx(tmp_path / "plain.onnx"), min_score=0)(image)
    rescored = OnnxDetector(small_onnx(tmp_path / "model.onnx", described=contract), min_score=0)(image)

    assert plain.pose_scores is None
    assert all(np.array_equal(getattr(rescored, name), getattr(plain, name)) for name in COLUMNS)
    for row, category in enumerate(rescored.categories):
        mean = rescored.landmark_scores[row, : DEEPFASHION2.categories[category].landmarks].mean()
        assert rescored.pose_scores[row] == pytest.approx(rescored.scores[row] * np.sqrt(mean), rel=1e-6)


def test_pose_scores_are_in_every_form_of_detections_and_only_there():
    found = detections(("vest", (0, 0, 50, 90), 0.8), ("skirt", (0, 0, 9, 9), 0.5))
    found.landmark_scores[:, :8] = 0.25
    rescored = with_pose_scores(found)

    for plain, own in ((found.as_dicts(), rescored.as_dicts()), (found.to_coco(1), rescored.to_coco(1))):
        assert all("pose_score" not in one for one in plain)
        assert [one["pose_score"] for one in own] == rescored.pose_scores.tolist()
        assert [{name: value for name, value in one.items() if name != "pose_score"} for one in own] == plain
    assert rescored[[1]].pose_scores.tolist() == rescored.pose_scores[1:].tolist()
