"""Precision by recall and by score."""

import numpy as np
import pytest
from eval_samples import detections, garment, prediction, random_case, record

from deepmark.eval.analysis.curves import calibration_table, curve_table
from deepmark.eval.metric.average_precision import precision
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.eval.metric.evaluate import evaluate
from deepmark.eval.metric.matching import Matching
from deepmark.vocabulary import DEEPFASHION2


def matched(records, predictions):
    truth = truth_columns(records)
    return Matching(truth, detection_columns(predictions, truth), "box").match()


@pytest.mark.parametrize("seed", range(10))
def test_the_mean_of_a_curve_is_its_ap(seed):
    records, predictions = random_case(seed)
    report = evaluate(records, predictions, by_subset=False)

    curves = curve_table(DEEPFASHION2, {"box": precision(matched(records, predictions))})

    present = sorted({garment.category for one in records for garment in one.garments})
    assert len(curves) == len(present) * 2 * 101
    for (category, overlap), curve in curves.groupby(["category", "overlap"]):
        ap = report.value(f"box_ap{round(overlap * 100)}", f"category:{category}")
        assert curve["precision"].mean() == pytest.approx(ap, abs=1e-12)
        assert np.allclose(curve["recall"], np.linspace(0, 1, 101))
        assert (np.diff(curve["precision"]) <= 0).all()


def test_without_items_there_are_columns_and_no_curves():
    curves = curve_table(DEEPFASHION2, {"box": precision(matched([record(1)], [prediction(1, detections())]))})

    assert list(curves.columns) == ["kind", "category", "overlap", "recall", "precision"]
    assert curves.empty


def test_a_bin_of_scores_holds_the_share_that_is_right():
    boxes = [(0, 0, 50, 50), (100, 0, 150, 50), (200, 0, 250, 50), (300, 0, 350, 50)]
    items = [garment("vest", box) for box in boxes[:3]]
    scores = (0.71, 0.75, 1.0, 0.79)
    found = detections(*(("vest", box, score) for box, score in zip(boxes, scores, strict=True)))

    rows = calibration_table(matched([record(1, *items)], [prediction(1, found)])).set_index("score_low")

    assert rows["detections"].tolist() == [0, 0, 0, 0, 0, 0, 0, 3, 0, 1]
    assert rows.loc[0.7, "right"] == pytest.approx(2 / 3)
    assert rows.loc[0.7, "score_mean"] == pytest.approx(0.75)
    assert (rows.loc[0.9, "score_high"], rows.loc[0.9, "right"]) == (1, 1)
    assert rows["right"].isna().sum() == 8


@pytest.mark.parametrize("seed", range(10))
def test_all_bins_together_hold_every_detection_and_every_match(seed):
    records, predictions = random_case(seed)
    matches = matched(records, predictions)

    rows = calibration_table(matches)

    assert rows["detections"].sum() == matches.counted_at(0).sum()
    assert (rows["right"] * rows["detections"]).sum() == pytest.approx(matches.found_at(0).sum())
