"""Every item and what was found of it."""

import numpy as np
import pytest
from eval_samples import Box, detections, garment, prediction, random_case, record

from deepmark.eval.analysis.assignment import assign_detections
from deepmark.eval.analysis.confusion import MISSED, confusion_table
from deepmark.eval.analysis.items import item_table
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.schema import SHOWN_SCORE

HERE: Box = (0, 0, 100, 100)
FAR: Box = (200, 200, 300, 300)


def table(records, predictions):
    truth = truth_columns(records)
    results = detection_columns(predictions, truth)
    return item_table(truth, results, assign_detections(truth, results))


def test_an_item_is_described_in_the_words_of_the_schema():
    item = garment("vest", HERE, scale=1, occlusion=3, zoom_in=2, viewpoint=3)

    (row,) = table([record(7, item, source="user")], [prediction(7, detections())]).to_dict("records")

    words = {"scale": "small", "occlusion": "heavy", "zoom_in": "medium", "viewpoint": "side or back"}
    described = {"image_id": 7, "item": "item1", "category": "vest", "source": "user", **words}
    assert {name: row[name] for name in described} == described


def test_a_perfect_detection_overlaps_its_item_wholly():
    found = detections(("skirt", FAR, 0.9), ("vest", HERE, 0.8))

    (row,) = table([record(1, garment("vest", HERE))], [prediction(1, found)]).to_dict("records")

    assert (row["found_category"], row["detection"]) == ("vest", 1)
    assert row["score"] == pytest.approx(0.8)
    assert (row["iou"], row["oks"], row["oks_visible"]) == pytest.approx((1, 1, 1))


def test_a_missed_item_has_nothing():
    rows = table([record(1, garment("vest", HERE))], [prediction(1, detections())])

    assert rows[["found_category", "score", "detection", "iou", "oks", "oks_visible"]].isna().all(axis=None)


def test_an_item_found_as_something_else_has_an_overlap_of_boxes_but_none_of_landmarks():
    rows = table([record(1, garment("vest", HERE))], [prediction(1, detections(("sling", HERE, 0.9)))])

    assert rows[["found_category", "iou"]].to_numpy().tolist() == [["sling", 1]]
    assert rows[["oks", "oks_visible"]].isna().all(axis=None)


def test_without_labelled_or_visible_landmarks_there_is_no_overlap_of_those():
    records = [record(1, garment("vest", HERE, v=1)), record(2, garment("vest", HERE, v=0))]
    found = detections(("vest", HERE, 0.9))

    rows = table(records, [prediction(1, found), prediction(2, found)])

    assert rows["oks"].isna().tolist() == [False, True]
    assert rows["oks_visible"].isna().tolist() == [True, True]


def test_items_are_in_the_order_of_the_pictures_whatever_that_of_the_records():
    records = [record(2, garment("vest", HERE)), record(1, garment("skirt", FAR), garment("vest", HERE))]
    predictions = [
        prediction(2, detections(("vest", HERE, 0.7))),
        prediction(1, detections(("vest", HERE, 0.9), ("skirt", FAR, 0.8))),
    ]

    rows = table(records, predictions)

    assert rows["image_id"].tolist() == [1, 1, 2]
    assert rows["category"].tolist() == rows["found_category"].tolist() == ["skirt", "vest", "vest"]
    assert rows["detection"].tolist() == [1, 0, 0]


@pytest.mark.parametrize("seed", range(10))
def test_counting_the_items_gives_the_confusion(seed):
    records, predictions = random_case(seed)
    truth = truth_columns(records)
    results = detection_columns(predictions, truth)
    found = assign_detections(truth, results)
    rows = item_table(truth, results, found)
    cells = confusion_table(truth, results, found).set_index(["truth", "predicted"])["count"]

    rows["predicted"] = np.where(rows["score"] >= SHOWN_SCORE, rows["found_category"], MISSED)

    for cell, count in rows.groupby(["category", "predicted"]).size().items():
        assert cells[cell] == count
