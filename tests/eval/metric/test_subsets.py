"""The rule of the tables by subset, on cases worked out by hand."""

import numpy as np
import pytest
from eval_samples import detections, garment, prediction, random_case, record, truth_as_detections

from deepmark.eval.metric.columns import truth_columns
from deepmark.eval.metric.evaluate import evaluate
from deepmark.eval.metric.subsets import SCOPES, subset_items

LEFT, RIGHT, BELOW = (10, 10, 90, 110), (200, 10, 280, 110), (10, 200, 90, 300)


def test_every_item_is_in_one_scope_of_each_field():
    records, _ = random_case(5)
    items = subset_items(truth_columns(records))

    assert tuple(items) == SCOPES
    assert len(SCOPES) == 14
    for field in ("scale", "occlusion", "zoom_in", "viewpoint", "source"):
        parts = [own for scope, own in items.items() if scope.startswith(f"{field}:")]
        assert np.sum(parts, axis=0).tolist() == [1] * sum(len(picture.garments) for picture in records)


def test_a_subset_is_named_by_the_words_of_the_data_set():
    items = subset_items(
        truth_columns([record(1, garment(scale=1, occlusion=3, zoom_in=1, viewpoint=3), source="user")])
    )

    assert [scope for scope, own in items.items() if own.any()] == [
        "scale:small",
        "occlusion:heavy",
        "zoom_in:none",
        "viewpoint:side or back",
        "source:user",
    ]


def test_a_result_on_an_item_outside_the_subset_does_not_count():
    picture = record(1, garment("vest", LEFT, scale=1), garment("vest", RIGHT, scale=3))
    # The better result lies on the large vest. Were it a false positive for "small", its precision would be 1/2.
    report = evaluate([picture], [prediction(1, detections(("vest", RIGHT, 0.9), ("vest", LEFT, 0.8)))])

    assert report.value("box_ap", "scale:small") == pytest.approx(1)
    assert report.value("landmark_ap", "scale:small") == pytest.approx(1)
    assert report.value("box_ap", "scale:moderate") is None


def test_an_unmatched_result_counts_in_pictures_that_hold_an_item_of_the_subset_and_in_no_other():
    small, large = garment("vest", LEFT, scale=1), garment("vest", LEFT, scale=3)
    stray = detections(("vest", LEFT, 0.8), ("vest", RIGHT, 0.9))
    report = evaluate(
        [record(1, small), record(2, large)], [prediction(1, detections(("vest", LEFT, 0.5))), prediction(2, stray)]
    )

    # All: ranks are stray .9, hit .8, hit .5: precision 2/3 up to recall 1.
    assert report.value("box_ap", "all") == pytest.approx(2 / 3)
    assert report.value("box_ap", "scale:small") == pytest.approx(1)
    # Large: the stray result comes first, then the hit.
    assert report.value("box_ap", "scale:large") == pytest.approx(1 / 2)


def test_an_unmatched_result_of_another_category_counts_where_the_subset_has_that_category():
    first = record(1, garment("vest", LEFT, scale=1))
    second = record(2, garment("skirt", LEFT, scale=1))
    found = [
        prediction(1, detections(("vest", LEFT, 0.5))),
        prediction(2, detections(("skirt", LEFT, 0.9), ("vest", RIGHT, 0.8))),
    ]
    report = evaluate([first, second], found)

    # Vest: a stray vest of .8 in the second picture comes before the hit of .5; skirt: 1.
    assert report.value("box_ap", "scale:small") == pytest.approx((1 / 2 + 1) / 2)


def test_a_missed_item_lowers_its_own_subset_only():
    picture = record(1, garment("vest", LEFT, occlusion=1), garment("vest", BELOW, occlusion=3))
    report = evaluate([picture], [prediction(1, detections(("vest", LEFT, 0.9)))])

    assert report.value("box_ap", "occlusion:slight") == pytest.approx(1)
    assert report.value("box_ap", "occlusion:heavy") == 0
    # Half of the items are found at precision 1: 51 of the 101 recall points.
    assert report.value("box_ap", "all") == pytest.approx(51 / 101)


def test_a_result_prefers_an_item_of_the_subset_to_an_ignored_one():
    inside, outside = (10, 10, 90, 110), (12, 10, 92, 110)
    picture = record(1, garment("vest", inside, scale=1), garment("vest", outside, scale=3))
    # The result overlaps the large vest more, and yet finds the small one when only small ones are asked for.
    report = evaluate([picture], [prediction(1, detections(("vest", outside, 0.9)))])

    assert report.value("box_ap50", "scale:small") == pytest.approx(1)
    assert report.value("box_ap50", "scale:large") == pytest.approx(1)


def test_items_without_landmarks_stay_ignored_inside_a_subset():
    picture = record(1, garment("vest", LEFT, scale=1), garment("vest", RIGHT, scale=1, v=0))
    report = evaluate([picture], [prediction(1, truth_as_detections(picture))])

    assert report.value("landmark_ap", "scale:small") == pytest.approx(1)
    assert report.value("box_ap", "scale:small") == pytest.approx(1)


def test_a_subset_that_holds_everything_gives_the_figures_of_everything():
    records, predictions = random_case(11)
    same = [record(picture.id, *picture.garments, source="user") for picture in records if picture.garments]
    kept = {picture.id for picture in same}
    report = evaluate(same, [one for one in predictions if one[0] in kept])

    for metric in ("box_ap", "landmark_visible_ap75", "landmark_ap50"):
        assert report.value(metric, "source:user") == report.value(metric, "all")
        assert report.value(metric, "source:shop") is None
