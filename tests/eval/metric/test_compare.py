"""A difference of two detectors is told from chance, on the same pictures."""

import numpy as np
import pytest
from eval_samples import detections, garment, prediction, random_case, record, truth_as_detections

from deepmark.eval.metric.bootstrap import draws, interval
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.eval.metric.compare import Difference, compare
from deepmark.eval.metric.evaluate import PASSES, evaluate
from deepmark.eval.metric.figures import Figures
from deepmark.eval.metric.matching import Matching
from deepmark.types import ImageRecord


def vests(pictures: int) -> list[ImageRecord]:
    return [record(number, garment("vest")) for number in range(pictures)]


def finding(records: list[ImageRecord], found: np.ndarray) -> list:
    return [
        prediction(one.id, truth_as_detections(one) if is_found else detections())
        for one, is_found in zip(records, found, strict=True)
    ]


def of(differences: list[Difference], metric: str, scope: str = "all") -> Difference:
    (found,) = (one for one in differences if (one.metric, one.scope) == (metric, scope))
    return found


@pytest.mark.slow
def test_both_sides_are_the_figures_of_evaluate():
    records, a = random_case(10)
    _, b = random_case(12)
    b = [prediction(one.image_id, detections()) for one in a[1:]] + [prediction(a[0].image_id, b[0].detections)]
    differences = compare(records, a, b, resamples=0)

    for side, predictions in (("a", a), ("b", b)):
        rows = evaluate(records, predictions).rows
        assert [(one.metric, one.scope, getattr(one, side)) for one in differences] == [
            (row.metric, row.scope, row.value) for row in rows
        ]


@pytest.mark.slow
def test_a_detector_does_not_differ_from_itself():
    records, predictions = random_case(4)

    for one in compare(records, predictions, predictions, resamples=50):
        if one.difference is not None:
            assert (one.difference, one.interval.low, one.interval.high, one.b_wins) == (0, 0, 0, 0.5)
        assert not one.is_real


@pytest.mark.slow
def test_a_better_detector_is_found_real_and_the_other_way_round_it_is_worse():
    records = vests(60)
    some, more = np.arange(60) % 3 == 0, np.arange(60) % 3 != 1
    forth = of(compare(records, finding(records, some), finding(records, more), resamples=300), "box_ap")
    back = of(compare(records, finding(records, more), finding(records, some), resamples=300), "box_ap")

    assert forth.is_real
    assert forth.difference > 0.3
    assert forth.b_wins == 1
    assert (back.difference, back.interval.low, back.b_wins) == (-forth.difference, -forth.interval.high, 0)


@pytest.mark.slow
def test_pairs_tell_what_two_intervals_cannot():
    """Half of the pictures are hard for both; B finds a twentieth more."""
    records = vests(200)
    a = np.arange(200) % 2 == 0
    b = a | (np.arange(200) % 20 == 1)
    one = of(compare(records, finding(records, a), finding(records, b), resamples=500, seed=2), "landmark_ap")
    alone = [
        evaluate(records, finding(records, each), by_subset=False, resamples=500, seed=2).row("landmark_ap").interval
        for each in (a, b)
    ]

    assert alone[0].high > alone[1].low
    assert one.is_real


@pytest.mark.slow
def test_detectors_that_are_equally_good_are_rarely_called_different():
    """Each finds a random half: of 200 pairs some 10 should pass by chance; more than 20 would be 1 in 1,000."""
    records = vests(80)
    truth, rng = truth_columns(records), np.random.default_rng(5)
    counts = draws(80, resamples=200, seed=5)

    def resamples() -> np.ndarray:
        results = detection_columns(finding(records, rng.random(80) < 0.5), truth)
        return Figures(Matching(truth, results, "box"), counts).resamples("AP")

    spans = [interval(resamples() - resamples()) for _ in range(200)]
    assert 1 <= sum(not span.low <= 0 <= span.high for span in spans) <= 20


def test_what_cannot_be_found_differs_in_nothing():
    one = of(compare(vests(3), finding(vests(3), np.ones(3)), finding(vests(3), np.zeros(3)), resamples=20), *SKIRT)

    assert (one.difference, one.interval, one.b_wins, one.is_real) == (None, None, None, False)


SKIRT = ("box_ap", "category:skirt")


@pytest.mark.slow
def test_progress_is_told_after_every_pass():
    steps = []
    compare(*random_case(1), random_case(1)[1], resamples=0, progress=steps.append)

    assert sum(steps) == PASSES
