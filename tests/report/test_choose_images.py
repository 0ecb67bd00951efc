"""Pictures are chosen by how their items were found, each once, and not more than wanted."""

import numpy as np
import pandas as pd
import pytest
from measurements import item, items

from deepmark.report.choose_images import KINDS, Choice, Reason, choose, groups, item_quality
from deepmark.schema import SOURCES, SUBSETS
from deepmark.vocabulary import DEEPFASHION2

NAMES = list(DEEPFASHION2.by_name)


def graded(count: int, category: str = "vest", *, first: int = 1, **values: str) -> list[dict]:
    """Items of pictures first, first + 1 …, each found better than the one before."""
    return [item(first + i, category, found=category, oks=(i + 1) / (count + 1), **values) for i in range(count)]


def standing_for(choices: list[Choice], group: str) -> dict[str, int]:
    return {kind: choice.image_id for choice in choices for kind, name in choice.reasons if name == group}


def test_the_best_the_median_and_the_worst_item_stand_for_their_category():
    choices = choose(items(*graded(9)), 60, NAMES)

    assert standing_for(choices, "vest") == {"worst": 1, "typical": 5, "best": 9}


def test_an_item_taken_for_something_else_or_missed_is_worth_nothing():
    rows = items(item(1, found="sling", oks=0.9), item(2, found=None), item(3, oks=0.4), item(4, oks=np.nan, iou=0.6))

    assert item_quality(rows).tolist() == [0.0, 0.0, 0.4, 0.6]


def test_a_confident_mistake_is_best_of_the_missed():
    rows = items(
        *graded(9), item(20, found="sling", score=0.4), item(21, found=None), item(22, found="sling", score=0.8)
    )
    worst = standing_for(choose(rows, 60, NAMES), "vest")["worst"]

    assert worst == 22


def test_every_category_and_subset_that_occurs_is_stood_for():
    words = [{field: word} for field, names in SUBSETS.items() for word in names.values()]
    words += [{"source": source} for source in SOURCES]
    rows = [row for i, values in enumerate(words) for row in graded(4, "skirt", first=100 * i + 1, **values)]
    rows += [row for i, one in enumerate(NAMES) for row in graded(4, one, first=10_000 + 100 * i)]
    choices = choose(items(*rows), 200, NAMES)

    for group in groups(NAMES):
        assert set(standing_for(choices, group)) == set(KINDS), group


@pytest.mark.parametrize("count", [0, 1, 5, 30])
def test_there_are_never_more_pictures_than_wanted_and_none_twice(count):
    rows = items(*(row for i, one in enumerate(NAMES) for row in graded(6, one, first=10 * i)))
    chosen = [choice.image_id for choice in choose(rows, count, NAMES)]

    assert len(chosen) == len(set(chosen)) == count


def test_a_picture_that_is_shown_already_stands_for_further_groups():
    choices = choose(items(*graded(9)), 60, NAMES)

    assert len(choices) == 3
    assert set(standing_for(choices, "source: shop")) == set(KINDS)
    assert Reason("worst", "all items") in next(one for one in choices if one.image_id == 1).reasons


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, {"typical": 1}), (2, {"worst": 1, "best": 2}), (3, {"worst": 1, "typical": 2, "best": 3})],
)
def test_of_few_items_none_stands_for_two_things(count, expected):
    assert standing_for(choose(items(*graded(count)), 60, NAMES), "vest") == expected


def test_without_items_there_are_no_pictures():
    assert choose(items(item(1)).iloc[:0], 10, NAMES) == []


def test_the_order_of_the_rows_changes_nothing():
    rows = items(*graded(9), *graded(9, "skirt", first=40))

    assert choose(rows.sample(frac=1, random_state=1), 10, NAMES) == choose(rows, 10, NAMES)


def test_columns_without_any_detection_are_understood():
    rows = pd.DataFrame([item(1, found=None), item(2, found=None)])

    assert {choice.image_id for choice in choose(rows, 10, NAMES)} == {1, 2}
