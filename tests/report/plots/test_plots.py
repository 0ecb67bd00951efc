"""Figures follow the page: its colours, its ids, words for those who do not see them; and show what they are given."""

import re

import pytest
from measurements import ap, calibration, confusion, curves, errors, history, landmarks

from deepmark.report.plots.landmark_plots import BOUNDS, garment_drawings, step_words
from deepmark.report.plots.plots import (
    calibration_drawing,
    category_curve_drawings,
    category_drawing,
    confusion_drawing,
    curve_drawings,
    error_drawing,
    loss_drawing,
)
from deepmark.report.plots.svg import ACCENT, page_style, to_drawing
from deepmark.vocabulary import DEEPFASHION2

NAMES = list(DEEPFASHION2.by_name)


def all_drawings():
    return [
        *curve_drawings(curves()),
        *category_curve_drawings(curves(), NAMES),
        calibration_drawing(calibration()),
        category_drawing(ap()),
        error_drawing(errors()),
        confusion_drawing(confusion(), NAMES),
        loss_drawing(history()),
        garment_drawings(landmarks(), DEEPFASHION2)[0],
    ]


@pytest.fixture(scope="module")
def drawings():
    return all_drawings()


@pytest.mark.slow
def test_every_colour_is_one_of_the_page(drawings):
    for one in drawings:
        assert re.findall(r"#[0-9a-fA-F]{6}\b", one.svg) == [], one.title
        assert "var(--" in one.svg


def test_every_figure_has_a_title_and_a_description(drawings):
    for one in drawings:
        head = re.match(r'<svg role="img" aria-labelledby="(\S+) (\S+)"', one.svg)
        assert head is not None
        assert f'<title id="{head[1]}">{one.title}</title>' in one.svg
        assert f'<desc id="{head[2]}">' in one.svg
        assert one.description


def test_letters_stay_letters_and_no_date_is_kept(drawings):
    for one in drawings[:1]:
        assert ">recall</text>" in one.svg
        assert "<metadata" not in one.svg
        assert "<?xml" not in one.svg


@pytest.mark.slow
def test_the_same_figures_give_the_same_bytes(drawings):
    assert [one.svg for one in all_drawings()] == [one.svg for one in drawings]


def test_the_mean_curve_is_over_the_categories_that_occur(drawings):
    box = drawings[0].description

    # 101 recalls: vests reach 81 and slings 41 of them; at the higher overlap 41 and 21.
    assert f"at overlap 0.5 the area below is {(81 + 41) / 202:.3f}" in box
    assert f"at overlap 0.75 the area below is {(41 + 21) / 202:.3f}" in box


def test_calibration_says_what_a_score_is_worth_and_nothing_of_scores_that_nobody_has():
    text = calibration_drawing(calibration()).description

    assert "score 0.20: 0.10 of 200; score 0.70: 0.95 of 40." in text


def test_categories_without_a_curve_have_no_figure():
    assert [one.title for one in category_curve_drawings(curves(), NAMES)] == ["vest", "sling"]


def test_a_row_of_the_confusion_is_in_percent_of_itself(drawings):
    svg = next(one.svg for one in drawings if one.title == "What is taken for what")

    cells = re.findall(r">(\d+)</text>", svg)
    assert sorted(cells) == ["100", "100", "25", "75"]


def test_costs_that_are_all_nothing_are_drawn():
    assert ">0.000</text>" in error_drawing(errors().assign(ap_cost=0.0)).svg


def test_no_epochs_are_no_figure():
    assert loss_drawing([]) is None


@pytest.mark.slow
def test_each_category_with_measured_landmarks_is_drawn_with_its_hardest_numbered():
    first, *others = garment_drawings(landmarks(), DEEPFASHION2)

    assert [first.title, *(one.title for one in others)] == NAMES
    assert re.findall(r">(\d+)</text>", first.svg) == ["2", "3", "4"]
    assert DEEPFASHION2.categories[0].parts[1] in first.description
    assert garment_drawings(landmarks().assign(labelled=0), DEEPFASHION2) == []


@pytest.mark.slow
def test_a_precise_landmark_has_another_colour_than_one_that_is_not():
    one = landmarks()
    precise, coarse = (garment_drawings(one.assign(pck05=value), DEEPFASHION2)[0].svg for value in (0.99, 0.1))

    assert "var(--step-5)" in precise
    assert "var(--step-1)" not in precise
    assert "var(--step-1)" in coarse
    assert len(step_words()) == len(BOUNDS) + 1


def test_words_in_a_figure_cannot_be_markup():
    from matplotlib.figure import Figure

    with page_style():
        figure = Figure()
        figure.add_subplot().plot([0, 1], color=ACCENT)
        one = to_drawing(figure, "x", title="<b>&", description="</desc><script>")

    assert '<title id="x-title">&lt;b&gt;&amp;</title>' in one.svg
    assert "<script>" not in one.svg
