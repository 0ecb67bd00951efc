"""Every rule of the gate on its own, for given figures."""

from dataclasses import replace

import pytest

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.bootstrap import Interval
from deepmark.eval.metric.compare import Difference
from deepmark.params import PromoteParams
from deepmark.registry.promotion_gate import ModelCost, evaluate_gate

PARAMS = PromoteParams(
    strategy="nms",
    serve="checkpoint",
    primary_metric="landmark_ap",
    tolerance=0.01,
    max_category_drop=0.05,
    max_latency_ratio=1.5,
    max_size_ratio=2.0,
)
SAME = ModelCost(milliseconds=10.0, megabytes=100.0)


def difference(scope, a, b, *, metric="landmark_ap", width=0.005):
    interval = None if a is None else Interval(low=b - a - width, high=b - a + width)
    return Difference(metric=metric, scope=scope, a=a, b=b, interval=interval, b_wins=0.5)


def gate(*differences, challenger=SAME, params=PARAMS):
    return evaluate_gate(differences, champion=SAME, challenger=challenger, params=params)


def failed(*differences, **others):
    return [rule.name for rule in gate(*differences, **others).failed]


EQUAL = difference("all", 0.5, 0.5)


def test_a_challenger_that_is_as_good_within_the_tolerance_passes():
    assert failed(EQUAL, difference("category:vest", 0.6, 0.56)) == []


def test_the_lower_end_of_the_interval_decides_and_not_the_difference():
    assert failed(difference("all", 0.5, 0.5, width=0.011)) == ["landmark AP"]
    assert failed(difference("all", 0.5, 0.495, width=0.004)) == []
    assert failed(difference("all", 0.5, 0.52, width=0.04)) == ["landmark AP"]


def test_only_the_primary_metric_decides():
    worse_boxes = difference("all", 0.9, 0.1, metric="box_ap")

    assert failed(EQUAL, worse_boxes) == []
    by_boxes = PARAMS.model_copy(update={"primary_metric": "box_ap"})
    assert failed(EQUAL, worse_boxes, params=by_boxes) == ["box AP"]


def test_no_category_and_no_subset_may_lose_more_than_is_allowed():
    parts = difference("category:vest", 0.6, 0.54), difference("scale:small", 0.4, 0.3), difference("source:user", 1, 1)

    assert failed(EQUAL, *parts) == ["landmark AP of vest", "landmark AP of scale small"]


def test_a_category_without_labelled_items_has_no_rule():
    names = [rule.name for rule in gate(EQUAL, difference("category:sling", None, None)).rules]

    assert names == ["landmark AP", "latency, ms", "size, MB"]


def test_latency_and_size_have_limits_of_their_own():
    assert failed(EQUAL, challenger=ModelCost(milliseconds=15.0, megabytes=200.0)) == []
    assert failed(EQUAL, challenger=ModelCost(milliseconds=15.1, megabytes=200.0)) == ["latency, ms"]
    assert failed(EQUAL, challenger=ModelCost(milliseconds=15.0, megabytes=200.1)) == ["size, MB"]


def test_a_rule_says_both_numbers_and_what_was_needed():
    (primary, vest, latency, _) = gate(difference("all", 0.5, 0.4), difference("category:vest", 0.6, 0.5)).rules

    assert str(primary) == (
        "landmark AP: champion 0.5000, challenger 0.4000, difference -0.1000 (low -0.1050, high -0.0950); "
        "needed: low > -0.01"
    )
    assert str(vest).startswith("landmark AP of vest: champion 0.6000, challenger 0.5000")
    assert str(latency) == "latency, ms: champion 10.00, challenger 10.00; needed: at most 1.5 x"


@pytest.mark.parametrize("primary", [replace(EQUAL, interval=None), difference("all", None, None)])
def test_without_an_interval_the_gate_raises_an_error(primary):
    with pytest.raises(DeepmarkError, match=r"landmark AP has no interval.*evaluate\.resamples.*data/raw/validation"):
        gate(primary)
