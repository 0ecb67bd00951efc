"""What the figures say about predictions that are right, wrong, or not there."""

import json

import pytest
from eval_samples import detections, garment, prediction, random_case, record, truth_as_detections

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.evaluate import PASSES, evaluate
from deepmark.eval.metric.names import KINDS
from deepmark.eval.metric.subsets import SCOPES
from deepmark.vocabulary import DEEPFASHION2

METRICS = [f"{kind}_{figure}" for kind in KINDS for figure in ("ap", "ap50", "ap75")]


def wardrobe() -> list:
    """A garment of every category, two a picture."""
    names = [category.name for category in DEEPFASHION2.categories]
    return [
        record(i, garment(name, (10, 10, 90, 150)), garment("vest", (200, 10, 300, 150)))
        for i, name in enumerate(names, 1)
    ]


def test_perfect_predictions_reach_one_everywhere():
    records = wardrobe()
    report = evaluate(records, [prediction(image.id, truth_as_detections(image)) for image in records])

    for metric in METRICS:
        assert report.value(metric) == pytest.approx(1)
        for category in DEEPFASHION2.categories:
            assert report.value(metric, f"category:{category.name}") == pytest.approx(1)


def test_the_right_place_with_the_wrong_category_is_worth_nothing():
    picture = record(1, garment("vest", (10, 10, 90, 110)))
    report = evaluate([picture], [prediction(1, detections(("sling", (10, 10, 90, 110), 0.9)))])

    assert [report.value(metric) for metric in METRICS] == [0] * 9


def test_occluded_landmarks_matter_to_the_metric_that_counts_them():
    true = garment("vest", (10, 10, 90, 110), v=[2] * 8 + [1] * 7)
    found = detections(("vest", (10, 10, 90, 110), 0.9))
    found.landmarks[0, 8:15] += 100
    report = evaluate([record(1, true)], [prediction(1, found)])

    assert report.value("landmark_visible_ap") == pytest.approx(1)
    # 8 of 15 landmarks are right: OKS 0.533 passes the first of the ten thresholds.
    assert report.value("landmark_ap") == pytest.approx(0.1)
    assert (report.value("landmark_ap50"), report.value("landmark_ap75")) == (pytest.approx(1), 0)


def test_what_cannot_be_found_has_no_figure():
    report = evaluate([record(1, garment("vest"))], [prediction(1, truth_as_detections(record(1, garment("vest"))))])

    assert report.value("box_ap", "category:skirt") is None
    assert report.value("box_ap", "source:user") is None


def test_items_without_labelled_landmarks_have_a_box_figure_alone():
    picture = record(1, garment("vest", v=0))
    report = evaluate([picture], [prediction(1, truth_as_detections(picture))])

    assert report.value("box_ap") == pytest.approx(1)
    assert report.value("landmark_ap") is None


def test_pictures_without_garments_and_without_detections_have_no_figures_and_no_error():
    report = evaluate([record(1)], [prediction(1, detections())])

    assert {row.value for row in report.rows} == {None}


def test_nothing_found_is_zero_not_unknown():
    assert evaluate([record(1, garment())], [prediction(1, detections())]).value("box_ap") == 0


def test_the_order_of_pictures_does_not_matter():
    records, predictions = random_case(9)

    assert evaluate(records, predictions) == evaluate(records[::-1], predictions[::-1])


@pytest.mark.slow
def test_the_report_has_every_metric_in_every_scope_once():
    report = evaluate(*random_case(1))
    scopes = ["all", *(f"category:{category.name}" for category in DEEPFASHION2.categories), *SCOPES]

    assert {(row.metric, row.scope) for row in report.rows} == {(m, s) for m in METRICS for s in scopes}
    assert len(report.rows) == len(METRICS) * len(scopes)


@pytest.mark.slow
def test_the_headline_keeps_every_digit_through_json():
    report = evaluate(*random_case(2))
    headline = json.loads(json.dumps(report.headline()))

    assert list(headline) == ["box", "landmark_visible", "landmark"]
    assert headline["landmark"]["AP75"] == report.value("landmark_ap75")
    assert headline["box"] == {figure: report.value(f"box_{figure.lower()}") for figure in ("AP", "AP50", "AP75")}


def test_the_frame_holds_the_rows_and_nan_for_what_cannot_be_found():
    report = evaluate([record(1, garment("vest"))], [prediction(1, detections())])
    frame = report.to_frame()

    assert list(frame.columns) == ["metric", "scope", "value", "low", "high"]
    assert frame.value.dtype == "float64"
    assert len(frame) == len(report.rows)
    assert frame.value.isna().sum() == sum(row.value is None for row in report.rows) > 0


def test_the_plot_has_a_row_for_every_category():
    frame = evaluate([record(1, garment("vest"))], [prediction(1, detections())]).by_category()

    assert list(frame.columns) == ["category", "box_ap", "landmark_ap"]
    assert frame.category.tolist() == [category.name for category in DEEPFASHION2.categories]
    assert frame.set_index("category").box_ap["vest"] == 0


@pytest.mark.slow
def test_progress_is_told_after_every_pass():
    steps = []
    evaluate(*random_case(1), progress=steps.append)

    assert sum(steps) == PASSES


@pytest.mark.parametrize(
    ("predicted", "fault"),
    [
        ([1], r"1 of 2 images without predictions \(the first is 2\)"),
        ([1, 2, 3], r"1 of 2 images predicted but not in the records \(the first is 3\)"),
        ([1, 2, 2], r"1 of 2 images predicted twice \(the first is 2\)"),
    ],
)
def test_predictions_of_other_pictures_are_refused_with_a_way_out(predicted, fault):
    with pytest.raises(DeepmarkError, match=fault + r"\. .*run `deepmark predict` again"):
        evaluate([record(1), record(2)], [prediction(number, detections()) for number in predicted])
