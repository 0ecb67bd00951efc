"""The figures by hard and by soft NMS are those that the strategy nms has with either."""

from dataclasses import replace

import pytest
from eval_samples import random_case

from deepmark.eval.analysis.nms_kinds import KINDS, by_nms_kind
from deepmark.eval.metric.columns import truth_columns
from deepmark.eval.metric.evaluate import evaluate
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS
from deepmark.runtime.nms import hard_nms, soft_nms


@pytest.fixture
def case():
    """Crowds: every detection twice, the second a little lower."""
    records, predictions = random_case(5)
    crowded = []
    for one in predictions:
        twice = type(one.detections).concatenate([one.detections, one.detections])
        scores = twice.scores.copy()
        scores[len(one.detections) :] *= 0.9
        order = (-scores).argsort(kind="stable")
        crowded.append(one._replace(detections=replace(twice, scores=scores)[order]))
    return records, crowded


def test_both_kinds_are_measured_as_the_strategy_would_be(case):
    records, before = case
    found = by_nms_kind(
        truth_columns(records), lambda: before, PROFILE_PREDICT_PARAMS.model_copy(update={"max_detections": 1000})
    )
    hard = [one._replace(detections=hard_nms(one.detections, iou=0.5)) for one in before]
    soft = [one._replace(detections=soft_nms(one.detections, sigma=0.5)) for one in before]

    assert tuple(found) == KINDS == ("hard", "soft")
    assert found["hard"] == evaluate(records, hard, by_subset=False).headline()
    assert found["soft"] == evaluate(records, soft, by_subset=False).headline()
    assert found["hard"] != found["soft"] or found["hard"] != evaluate(records, before, by_subset=False).headline()


def test_parameters_of_prediction_count(case):
    records, before = case
    strict = PROFILE_PREDICT_PARAMS.model_copy(update={"max_detections": 1})

    assert by_nms_kind(truth_columns(records), lambda: before, strict) != by_nms_kind(
        truth_columns(records), lambda: before, PROFILE_PREDICT_PARAMS
    )
