"""The metric of other garments than DeepFashion2's equals stock pycocotools, by category with the category's sigmas."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from vocabularies import MANY, SMALL
from vocabulary_samples import random_case

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.average_precision import precision
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.eval.metric.compare import compare
from deepmark.eval.metric.evaluate import evaluate
from deepmark.eval.metric.matching import Matching
from deepmark.types import Detections, Garment, ImageRecord, Prediction
from deepmark.vocabulary import DEEPFASHION2, Category, Vocabulary

CASES = [(SMALL, seed) for seed in range(12)] + [(MANY, seed) for seed in range(6)]


def keypoints(category: Category, points: np.ndarray, vocabulary: Vocabulary | None) -> list[float]:
    """The list of one garment: of its own landmarks, or at their place among those of the whole vocabulary."""
    if vocabulary is None:
        return points[: category.landmarks].ravel().tolist()
    flat = np.zeros((vocabulary.landmarks, 3))
    flat[category.span] = points[: category.landmarks]
    return flat.ravel().tolist()


def labelled(item: Garment, *, visible_only: bool) -> np.ndarray:
    return np.where(item.landmarks[:, 2:] > (1 if visible_only else 0), item.landmarks, 0.0)


def stock(
    records: list[ImageRecord],
    predictions: list[Prediction],
    categories: tuple[Category, ...],
    *,
    kind: str,
    visible_only: bool,
    flat: Vocabulary | None,
) -> COCOeval:
    """Stock pycocotools, told nothing but the sigmas; with `flat`, keypoints are of its whole list."""
    chosen = {category.index: category for category in categories}
    annotations, results = [], []
    for image in records:
        for item in image.garments:
            if item.category in chosen:
                points = labelled(item, visible_only=visible_only)
                x0, y0, x1, y1 = item.box.tolist()
                entry = {
                    "image_id": image.id,
                    "category_id": item.category + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                    "keypoints": keypoints(chosen[item.category], points, flat),
                    "num_keypoints": int((points[:, 2] > 0).sum()),
                }
                annotations.append({"id": len(annotations) + 1, **entry})
    for image_id, _, found in predictions:
        for row in range(len(found)):
            if int(found.categories[row]) in chosen:
                points = np.column_stack([found.landmarks[row].astype(float), np.ones(found.landmarks.shape[1])])
                x0, y0, x1, y1 = (float(value) for value in found.boxes[row])
                category = chosen[int(found.categories[row])]
                entry = {
                    "category_id": category.index + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "keypoints": keypoints(category, points, flat),
                    "score": float(found.scores[row]),
                }
                results.append({"image_id": image_id, **entry})
    truth = COCO()
    truth.dataset = {
        "images": [{"id": image.id} for image in records],
        "categories": [{"id": category.index + 1, "name": category.name} for category in categories],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        if kind == "keypoints":
            sigmas = flat.sigmas if flat else categories[0].sigmas
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def figures(report: Any, metric: str, scope: str = "all") -> list[float]:
    values = [report.value(f"{metric}_{figure}", scope) for figure in ("ap", "ap50", "ap75")]
    return [-1 if value is None else value for value in values]


def stock_figures(evaluation: COCOeval) -> list[float]:
    table = evaluation.eval["precision"][:, :, :, 0, -1]
    parts = (table, table[:1], table[5:6])
    return [float(part[part > -1].mean()) if (part > -1).any() else -1 for part in parts]


@pytest.mark.parametrize(
    ("vocabulary", "seed"),
    [
        pytest.param(*case, marks=[pytest.mark.slow] if case[1] > 1 else [], id=f"{case[0].name} {case[1]}")
        for case in CASES
    ],
)
@pytest.mark.parametrize(
    ("metric", "kind", "visible_only"),
    [("box", "bbox", False), ("landmark", "keypoints", False), ("landmark_visible", "keypoints", True)],
)
def test_every_precision_is_that_of_stock_pycocotools_with_the_vocabularys_sigmas(
    vocabulary, seed, metric, kind, visible_only
):
    records, predictions = random_case(vocabulary, seed)
    truth = truth_columns(records, vocabulary)
    matches = Matching(truth, detection_columns(predictions, truth), metric).match()
    report = evaluate(records, predictions, vocabulary=vocabulary, by_subset=False)
    wanted = stock(records, predictions, vocabulary.categories, kind=kind, visible_only=visible_only, flat=vocabulary)

    np.testing.assert_allclose(precision(matches), wanted.eval["precision"][:, :, :, 0, -1], rtol=0, atol=1e-12)
    assert figures(report, metric) == pytest.approx(stock_figures(wanted), abs=1e-12)


def with_landmarks(vocabulary: Vocabulary) -> Iterator[Category]:
    return (category for category in vocabulary.categories if category.landmarks)


@pytest.mark.parametrize("vocabulary", [SMALL, pytest.param(MANY, marks=pytest.mark.slow)], ids=lambda each: each.name)
def test_a_category_by_itself_with_its_own_keypoints_and_sigmas_gives_the_same_figures(vocabulary):
    records, predictions = random_case(vocabulary, 3, unlabelled=False)
    report = evaluate(records, predictions, vocabulary=vocabulary, by_subset=False)
    compared = 0
    for category in with_landmarks(vocabulary):
        if not any((found.categories == category.index).any() for *_, found in predictions):
            continue
        wanted = stock(records, predictions, (category,), kind="keypoints", visible_only=False, flat=None)
        assert figures(report, "landmark", f"category:{category.name}") == pytest.approx(
            stock_figures(wanted), abs=1e-12
        )
        compared += 1
    assert compared >= min(12, len(vocabulary.categories) - 1)


def test_a_category_without_landmarks_counts_among_boxes_and_not_among_landmarks():
    records, predictions = random_case(SMALL, 5, unlabelled=False)
    report = evaluate(records, predictions, vocabulary=SMALL, resamples=20)
    by_category = {name: report.value("landmark_ap", f"category:{name}") for name in SMALL.by_name}

    assert report.value("box_ap", "category:hat") is not None
    assert by_category.pop("hat") is None
    assert report.row("landmark_ap", "category:hat").interval is None
    assert report.value("landmark_ap") == pytest.approx(np.mean(list(by_category.values())))
    assert report.value("box_ap") == pytest.approx(
        np.mean([report.value("box_ap", f"category:{name}") for name in SMALL.by_name])
    )
    assert not np.isnan(report.resamples["landmark_ap"]).any()
    assert report.by_category().category.tolist() == ["bag", "shoe", "hat"]


def test_labels_of_boxes_alone_have_box_figures_and_no_landmark_figures():
    records, predictions = random_case(SMALL, 7)
    hats = [replace(one, garments=tuple(item for item in one.garments if item.category == 2)) for one in records]
    report = evaluate(hats, predictions, vocabulary=SMALL, resamples=5)

    assert report.value("box_ap") is not None
    assert report.value("landmark_ap") is None
    assert report.value("landmark_ap", "scale:moderate") is None


def test_records_and_predictions_of_different_vocabularies_are_refused_by_name():
    records, predictions = random_case(SMALL, 2)

    with pytest.raises(
        DeepmarkError, match="records has the vocabulary DeepFashion2, but the set of predictions has acc"
    ):
        evaluate(records, predictions)
    with pytest.raises(DeepmarkError, match='category 1 is "garment 1" in one and "bag" in the other'):
        compare(records, predictions, predictions, resamples=0, vocabulary=MANY)


def test_other_sigmas_are_another_vocabulary():
    records, predictions = random_case(SMALL, 2)
    bag = replace(SMALL.categories[0], sigmas=(0.1, 0.1, 0.05, 0.05))
    other = Vocabulary(name="accessories", categories=(bag, *SMALL.categories[1:]))

    with pytest.raises(DeepmarkError, match='"bag" has other sigmas'):
        evaluate(records, predictions, vocabulary=other)


def test_images_without_detections_need_no_vocabulary_of_their_own():
    records, _ = random_case(SMALL, 2)
    nothing = Detections(
        boxes=np.empty((0, 4), np.float32),
        scores=np.empty(0, np.float32),
        categories=np.empty(0, np.int64),
        landmarks=np.empty((0, SMALL.most_landmarks, 2), np.float32),
        landmark_scores=np.empty((0, SMALL.most_landmarks), np.float32),
        vocabulary=SMALL,
    )
    report = evaluate(records, [Prediction(one.id, one.file, nothing) for one in records], vocabulary=SMALL)

    assert report.value("box_ap") == 0
    assert DEEPFASHION2 not in (report.vocabulary, SMALL)
