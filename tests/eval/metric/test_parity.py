"""The same precisions and figures as stock pycocotools on plain lists, in 201 random cases."""

import contextlib
import io
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from eval_samples import random_case
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from deepmark.eval.metric.average_precision import precision
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.eval.metric.evaluate import evaluate
from deepmark.eval.metric.matching import Matching
from deepmark.runtime.pose_scores import with_pose_scores
from deepmark.schema import Kind
from deepmark.types import ImageRecord, Prediction
from deepmark.vocabulary import DEEPFASHION2


def plain_truth(records: list[ImageRecord], *, visible_only: bool) -> dict[str, Any]:
    """The official converter's file, written out by its description."""
    annotations = []
    for image in records:
        for item in image.garments:
            flat = [0.0] * (DEEPFASHION2.landmarks * 3)
            count = 0
            start = sum(
                category.landmarks for category in DEEPFASHION2.by_name.values() if category.index < item.category
            )
            for i, (x, y, v) in enumerate(item.landmarks.tolist()):
                kept = 0 if visible_only and v == 1 else v
                flat[3 * (start + i) : 3 * (start + i) + 3] = [x, y, kept]
                count += kept > 0
            x0, y0, x1, y1 = item.box.tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image.id,
                    "category_id": item.category + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                    "keypoints": flat,
                    "num_keypoints": count,
                }
            )
    categories = [{"id": category.index + 1, "name": category.name} for category in DEEPFASHION2.by_name.values()]
    return {"images": [{"id": image.id} for image in records], "categories": categories, "annotations": annotations}


def plain_results(predictions: list[Prediction], kind: str = "bbox") -> list[dict[str, Any]]:
    results = []
    for image_id, _, found in predictions:
        for i in range(len(found)):
            category = list(DEEPFASHION2.by_name.values())[found.categories[i]]
            flat = np.zeros((DEEPFASHION2.landmarks, 3))
            flat[category.span, :2] = found.landmarks[i, : category.landmarks]
            x0, y0, x1, y1 = (float(value) for value in found.boxes[i])
            results.append(
                {
                    "image_id": image_id,
                    "category_id": int(found.categories[i]) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "keypoints": flat.ravel().tolist(),
                    "score": float(found.scores_of(Kind(kind))[i]),
                }
            )
    return results


def stock(records: list[ImageRecord], predictions: list[Prediction], kind: str, visible_only: bool) -> COCOeval:
    """Stock pycocotools with nothing changed but the sigmas."""
    truth = COCO()
    truth.dataset = plain_truth(records, visible_only=visible_only)
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(plain_results(predictions, kind)), kind)
        if kind == "keypoints":
            evaluation.params.kpt_oks_sigmas = np.array(DEEPFASHION2.sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@cache
def scored_cases() -> list[tuple[list, list]]:
    """Cases in which there is a result at all: stock pycocotools cannot load an empty list of results."""
    cases = map(random_case, range(100))
    return [(records, found) for records, found in cases if any(len(each) for *_, each in found)][:67]


@pytest.mark.parametrize(
    "number", [pytest.param(number, marks=[pytest.mark.slow] if number >= 7 else []) for number in range(67)]
)
@pytest.mark.parametrize(
    ("metric", "kind", "visible_only"),
    [("box", Kind.BBOX, False), ("landmark", Kind.KEYPOINTS, False), ("landmark_visible", Kind.KEYPOINTS, True)],
)
def test_the_precisions_and_every_figure_are_those_of_stock_pycocotools(number, metric, kind, visible_only):
    records, predictions = scored_cases()[number]
    expected = stock(records, predictions, kind, visible_only)

    truth = truth_columns(records)
    results = detection_columns(predictions, truth)
    matches = Matching(truth, results, metric).match()
    report = evaluate(records, predictions, by_subset=False)

    np.testing.assert_allclose(precision(matches), expected.eval["precision"][:, :, :, 0, -1], rtol=0, atol=1e-12)
    figures = [report.value(f"{metric}_{figure}") for figure in ("ap", "ap50", "ap75")]
    assert [-1 if figure is None else figure for figure in figures] == pytest.approx(expected.stats[:3], abs=1e-12)


@pytest.mark.parametrize("number", range(5))
def test_landmarks_are_ranked_by_their_own_scores_and_boxes_by_the_garments(number):
    records, plain = scored_cases()[number]
    rng = np.random.default_rng(number)
    rescored = []
    for image_id, file, found in plain:
        own = replace(found, landmark_scores=rng.random(found.landmark_scores.shape, np.float32))
        rescored.append(Prediction(image_id, file, with_pose_scores(own)))
    report, before = (evaluate(records, found, by_subset=False) for found in (rescored, plain))
    expected = stock(records, rescored, "keypoints", False).stats[:3]

    figures = [report.value(f"landmark_{figure}") for figure in ("ap", "ap50", "ap75")]
    assert [-1 if figure is None else figure for figure in figures] == pytest.approx(expected, abs=1e-12)
    assert report.value("box_ap") == before.value("box_ap")


@pytest.mark.slow
def test_random_cases_hold_what_makes_the_metric_hard():
    cases = scored_cases()
    pictures = [picture for records, _ in cases for picture in records]
    found = [one for _, predictions in cases for *_, one in predictions]
    states = [item.landmarks[:, 2] for picture in pictures for item in picture.garments]

    assert any(not picture.garments for picture in pictures)
    assert any(len(one) == 0 for one in found)
    assert any(np.bincount(one.categories).max() > 20 for one in found if len(one))
    assert any(len(set(one.scores.tolist())) < len(one) for one in found)
    assert any(state.max() == 0 for state in states)
    assert any(set(state.tolist()) == {0, 1, 2} for state in states)


def test_nothing_is_printed(capsys):
    evaluate(*random_case(3))

    assert capsys.readouterr() == ("", "")
