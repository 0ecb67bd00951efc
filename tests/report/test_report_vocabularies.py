"""The report of other garments than DeepFashion2's: three categories, one without landmarks, and forty."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from measurements import content, history, metrics
from vocabularies import MANY, SMALL
from vocabulary_samples import random_case

from deepmark.eval.analysis.analyse import diagnose
from deepmark.eval.metric.evaluate import evaluate
from deepmark.report.choose_images import KINDS, choose, groups
from deepmark.report.choose_images import MANY as MANY_CATEGORIES
from deepmark.report.images import describe
from deepmark.report.page import render_page
from deepmark.report.plots.landmark_plots import garment_drawings
from deepmark.report.plots.plots import category_drawing
from deepmark.report.read_results import Measured, headline_intervals
from deepmark.report.tables.metric_tables import category_table
from deepmark.schema import STRATEGIES
from deepmark.vocabulary import DEEPFASHION2, Vocabulary


def measured(vocabulary: Vocabulary, seed: int = 1, images: int = 60) -> Measured:
    """What evaluation gives for random labels and detections."""
    records, predictions = random_case(vocabulary, seed, images=images)
    report = evaluate(records, predictions, vocabulary=vocabulary, resamples=10)
    ap = report.to_frame()
    own = {**metrics(), **report.headline(), "images": len(records), "interval": headline_intervals(ap)}
    return Measured(metrics=own, ap=ap, **diagnose(records, predictions, vocabulary=vocabulary))


def page_of(vocabulary: Vocabulary, found: Measured) -> str:
    every = dict.fromkeys(STRATEGIES, found)
    return render_page(content(vocabulary=vocabulary, measured=every, history=history(), images=[]))


@pytest.fixture(scope="module")
def small() -> Measured:
    return measured(SMALL)


@pytest.fixture(scope="module")
def many() -> Measured:
    return measured(MANY)


def test_the_page_of_three_categories_shows_them_and_nothing_of_deepfashion2(small):
    page = page_of(SMALL, small)

    for name in SMALL.by_name:
        assert f'<th scope="row">{name}</th>' in page
    assert not any(re.search(rf">{name}<", page) for name in DEEPFASHION2.by_name)
    assert "all 3" in page
    assert "Published figures" not in page
    assert "DeepFashion2" not in page
    assert "with the vocabulary’s 10 sigmas" in page
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)


def test_a_category_without_landmarks_has_dashes_for_landmarks_and_no_drawing_of_them(small):
    (hat,) = [row for row in category_table(small.ap).rows if row.cells[0] == "hat"]

    assert "–" not in hat.cells[1:4]
    assert set(hat.cells[4:]) == {"–"}
    assert [one.title for one in garment_drawings(small.landmarks, SMALL)] == ["bag", "shoe"]


def test_a_category_without_a_drawing_is_left_out_of_the_drawings(small):
    bag = replace(SMALL.categories[0], drawing=None)
    partly = Vocabulary(name="accessories", categories=(bag, *SMALL.categories[1:]))

    assert [one.title for one in garment_drawings(small.landmarks, partly)] == ["shoe"]


@pytest.mark.slow
def test_the_page_of_forty_categories_shows_all_of_them(many):
    page = page_of(MANY, many)

    assert "all 40" in page
    assert all(f'<th scope="row">{name}</th>' in page for name in MANY.by_name)


def test_a_plot_grows_with_its_categories(small, many):
    def height(found: Measured) -> float:
        return float(re.findall(r'viewBox="0 0 [\d.]+ ([\d.]+)"', category_drawing(found.ap).svg)[0])

    assert height(small) < 200 < 600 < height(many)


def items(names: Sequence[str], each: int = 4) -> pd.DataFrame:
    """So many garments of every category, each in an image of its own and found better than the one before."""
    rows = [
        {"image_id": 100 * i + j, "item": "item1", "category": name, "found_category": name, "oks": j / each}
        for i, name in enumerate(names)
        for j in range(each)
    ]
    return pd.DataFrame(rows).assign(
        score=0.5, iou=0.9, source="shop", scale="small", occlusion="slight", zoom_in="none", viewpoint="frontal"
    )


def test_of_more_categories_than_have_room_for_three_images_each_has_its_worst():
    names = list(MANY.by_name)
    assert len(names) > MANY_CATEGORIES
    reasons = [why for choice in choose(items(names), 48, names) for why in choice.reasons]

    assert {why.group for why in reasons if why.kind == "worst"} == set(groups(names)) & {
        *names,
        "all items",
        "scale: small",
        "occlusion: slight",
        "zoom: none",
        "viewpoint: frontal",
        "source: shop",
    }


def test_few_categories_have_all_three_kinds():
    names = list(SMALL.by_name)
    reasons = [why for choice in choose(items(names), 48, names) for why in choice.reasons]

    assert {(why.group, why.kind) for why in reasons} >= {(name, kind) for name in names for kind in KINDS}


def test_the_words_under_an_image_are_those_of_the_vocabulary():
    records, predictions = random_case(SMALL, 3)
    record, found = next(
        (record, one.detections)
        for record, one in zip(records, predictions, strict=True)
        if {item.category for item in record.garments} == {0, 1, 2}
    )
    text = describe(record, found, min_score=0.0)

    assert all(name in text.partition("Found")[0] for name in SMALL.by_name)
    assert np.isin(found.categories, [0, 1, 2]).all()
