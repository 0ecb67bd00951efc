"""A resample is the metric on other pictures, and intervals say how far it moves."""

from dataclasses import replace

import numpy as np
import pytest
from eval_samples import detections, garment, prediction, random_case, record, truth_as_detections

from deepmark.eval.metric.average_precision import precision
from deepmark.eval.metric.bootstrap import draws, interval, resampled_ap
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.eval.metric.evaluate import evaluate
from deepmark.eval.metric.matching import Matches, Matching
from deepmark.eval.metric.names import KINDS

CASES = [(seed, kind) for seed in (2, 4, 6, 8, 10, 12) for kind in KINDS]
"""Of seeds without equal scores: between equal ones the order of pictures decides, and a resample has none."""


def matched(records: list, predictions: list, kind: str) -> Matches:
    truth = truth_columns(records)
    return Matching(truth, detection_columns(predictions, truth), kind).match()


def mean_precision(matches: Matches) -> np.ndarray:
    table = precision(matches)
    return np.where(table[:, 0] > -1, table.mean(1), np.nan)


@pytest.mark.parametrize(("seed", "kind"), CASES)
def test_with_every_picture_once_it_is_the_metric(seed, kind):
    matches = matched(*random_case(seed), kind)
    (once,) = resampled_ap(matches, np.ones((1, matches.image_count), np.uint8))

    np.testing.assert_allclose(once, mean_precision(matches), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("seed", "kind"), CASES)
def test_a_resample_is_the_metric_on_the_pictures_it_drew(seed, kind):
    records, predictions = random_case(seed)
    matches = matched(records, predictions, kind)
    counts = draws(matches.image_count, resamples=5, seed=seed)
    found = {one.image_id: one.detections for one in predictions}
    for resample, row in zip(resampled_ap(matches, counts), counts, strict=True):
        drawn = np.repeat(np.arange(len(records)), row).tolist()
        by_id = sorted(records, key=lambda picture: picture.id)
        copies = [replace(by_id[picture], id=place) for place, picture in enumerate(drawn)]
        again = matched(
            copies, [prediction(place, found[by_id[picture].id]) for place, picture in enumerate(drawn)], kind
        )

        np.testing.assert_allclose(resample, mean_precision(again), rtol=0, atol=1e-12)


def test_many_small_parts_are_as_one(monkeypatch):
    matches = matched(*random_case(10), "box")
    counts = draws(matches.image_count, resamples=20, seed=1)
    whole = resampled_ap(matches, counts)
    monkeypatch.setattr("deepmark.eval.metric.bootstrap._CELLS", 1)

    np.testing.assert_array_equal(resampled_ap(matches, counts), whole)


def test_a_resample_draws_as_many_pictures_as_there_are_and_the_same_ones_again():
    counts = draws(40, resamples=300, seed=7)

    assert counts.sum(1).tolist() == [40] * 300
    assert counts.mean(0) == pytest.approx(np.ones(40), abs=0.25)
    np.testing.assert_array_equal(counts, draws(40, resamples=300, seed=7))
    assert (counts != draws(40, resamples=300, seed=8)).any()


def half_found(pictures: int) -> tuple[list, list]:
    """A vest a picture, found in every second one: at precision 1 up to a recall of one half."""
    records = [record(number, garment("vest")) for number in range(pictures)]
    return records, [prediction(one.id, truth_as_detections(one) if one.id % 2 else detections()) for one in records]


@pytest.mark.slow
def test_the_interval_is_that_of_a_share_where_the_figure_is_one():
    records, predictions = half_found(400)
    row = evaluate(records, predictions, by_subset=False, resamples=2000, seed=3).row("box_ap")

    # The standard error of a share of one half among 400 is .025.
    assert row.interval.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.012)
    assert row.interval.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.012)


@pytest.mark.slow
def test_every_figure_lies_in_its_interval_and_certain_ones_have_no_width():
    records, predictions = half_found(60)
    report = evaluate(records, predictions, resamples=200, seed=1)
    perfect = evaluate(records, [prediction(one.id, truth_as_detections(one)) for one in records], resamples=50, seed=1)

    for row in report.rows:
        assert (row.interval is None) == (row.value is None)
        assert row.value is None or row.interval.low <= row.value <= row.interval.high
    assert perfect.row("landmark_ap").interval.low == pytest.approx(1)


def test_without_resamples_there_are_no_intervals():
    assert {row.interval for row in evaluate(*half_found(4)).rows} == {None}


def test_a_resample_that_has_nothing_to_find_says_nothing():
    assert interval(np.array([np.nan, np.nan])) is None
    assert interval(np.array([np.nan, 0.25, 0.25])).low == 0.25
