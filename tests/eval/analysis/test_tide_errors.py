"""Kinds of errors and what they cost, on cases worked out by hand and against another implementation."""

from functools import cache

import hotcoco
import numpy as np
import pytest
from eval_samples import Box, detections, garment, prediction, random_case, record

from deepmark.eval.analysis import tide_errors as errors
from deepmark.eval.analysis.tide_errors import ERRORS, error_table
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.eval.metric.evaluate import evaluate
from deepmark.eval.metric.matching import Matching
from deepmark.vocabulary import DEEPFASHION2

HERE: Box = (0, 0, 100, 100)
FAR: Box = (200, 200, 300, 300)
UPPER: Box = (0, 0, 100, 40)
LOWER: Box = (0, 60, 100, 100)
"""Both overlap HERE by .4."""

HALF = 51 / 101
"""Of the 101 recalls, those up to one half."""

Item = tuple[str, Box]
Found = tuple[str, Box, float]


def table(*pictures: tuple[list[Item], list[Found]]):
    records = [record(n, *(garment(*item) for item in items)) for n, (items, _) in enumerate(pictures)]
    predictions = [prediction(n, detections(*found)) for n, (_, found) in enumerate(pictures)]
    return errors_of(records, predictions).set_index("kind")


def errors_of(records, predictions):
    truth = truth_columns(records)
    results = detection_columns(predictions, truth)
    return error_table(truth, results, Matching(truth, results, "box").match())


def counts(found) -> dict[str, int]:
    return {kind: count for kind, count in found["count"].items() if count}


def costs(found) -> dict[str, float]:
    return {kind: cost for kind, cost in found["ap_cost"].items() if abs(cost) > 1e-9}


def test_without_errors_nothing_is_counted_and_nothing_would_be_gained():
    found = table(([("vest", HERE)], [("vest", HERE, 0.9)]), ([], []))

    assert list(found.index) == list(ERRORS)
    assert (counts(found), costs(found)) == ({}, {})


def test_a_wrong_category_costs_both_categories():
    """AP50 is 0 for vests and, one wrong before one right, 1/2 for skirts; mended it is 1 and 1."""
    found = table(([("vest", HERE)], [("skirt", HERE, 0.9)]), ([("skirt", HERE)], [("skirt", HERE, 0.8)]))

    assert counts(found) == {"wrong category": 1}
    assert costs(found) == {"wrong category": pytest.approx(1 - 1 / 4)}


def test_of_two_wrong_categories_for_an_item_the_better_is_mended_and_the_other_goes():
    found = table(
        ([("vest", HERE)], [("skirt", HERE, 0.9), ("sling", HERE, 0.8)]),
        ([("skirt", HERE)], [("skirt", HERE, 0.95)]),
        ([("sling", HERE)], [("sling", HERE, 0.7)]),
    )

    assert counts(found) == {"wrong category": 2}
    assert costs(found) == {"wrong category": pytest.approx(1 - (0 + 1 + 1 / 2) / 3)}


def test_a_wrong_category_where_the_item_is_found_is_mended_by_going():
    found = table(
        ([("vest", HERE)], [("vest", HERE, 0.9), ("skirt", HERE, 0.8)]), ([("skirt", HERE)], [("skirt", HERE, 0.5)])
    )

    assert counts(found) == {"wrong category": 1}
    assert costs(found) == {"wrong category": pytest.approx(1 - (1 + 1 / 2) / 2)}


def test_the_better_one_is_mended_not_the_worse():
    """Vests have one wrong at .7: with the one of .9 mended AP50 is 1, with the one of .6 it would be 1/2."""
    found = table(
        ([("vest", HERE)], [("skirt", HERE, 0.9), ("sling", HERE, 0.6)]), ([], [("vest", HERE, 0.7)]), ([], [])
    )

    assert counts(found) == {"wrong category": 2, "background": 1}
    assert costs(found) == {"wrong category": pytest.approx(1)}


def test_an_item_that_is_found_is_not_found_once_more_by_mending():
    """One of two vests remains missed, whatever becomes of the wrong and the badly placed detection of the other."""
    missed = ([("vest", FAR)], [])
    wrong_category = table(([("vest", HERE)], [("vest", HERE, 0.9), ("skirt", HERE, 0.8)]), missed)
    badly_placed = table(([("vest", HERE)], [("vest", HERE, 0.9), ("vest", UPPER, 0.8)]), missed)

    assert costs(wrong_category) == costs(badly_placed) == {"missed": pytest.approx(1 - HALF)}


def test_of_two_badly_placed_for_an_item_one_is_mended_and_the_other_goes():
    """So one of two vests is found, at precision 1; the other remains missed."""
    found = table(([("vest", HERE)], [("vest", UPPER, 0.9), ("vest", LOWER, 0.8)]), ([("vest", HERE)], []))

    assert counts(found) == {"badly placed": 2, "missed": 1}
    assert costs(found) == {"badly placed": pytest.approx(HALF)}


def test_a_badly_placed_detection_does_not_stand_in_the_way_of_a_wrong_category():
    """Vests: wrong .9, mended .8, right .3 of two items, so 2/3 at every recall. Skirts: 1 in place of 1/2."""
    found = table(
        ([("vest", HERE)], [("vest", UPPER, 0.9), ("skirt", HERE, 0.8)]),
        ([("skirt", HERE), ("vest", FAR)], [("skirt", HERE, 0.5), ("vest", FAR, 0.3)]),
    )
    before = (HALF / 2 + 1 / 2) / 2

    assert counts(found) == {"wrong category": 1, "badly placed": 1}
    assert costs(found) == {
        "wrong category": pytest.approx((2 / 3 + 1) / 2 - before),
        "badly placed": pytest.approx((1 + 1 / 2) / 2 - before),
    }


def test_wrong_in_both_goes():
    found = table(
        ([("vest", HERE)], [("vest", HERE, 0.5), ("skirt", UPPER, 0.9)]), ([("skirt", HERE)], [("skirt", HERE, 0.8)])
    )

    assert counts(found) == {"both": 1}
    assert costs(found) == {"both": pytest.approx(1 - (1 + 1 / 2) / 2)}


def test_a_duplicate_costs_the_precision_of_what_comes_after():
    found = table(
        ([("vest", HERE)], [("vest", HERE, 0.9), ("vest", HERE, 0.8)]), ([("vest", HERE)], [("vest", HERE, 0.7)])
    )

    assert counts(found) == {"duplicate": 1}
    assert costs(found) == {"duplicate": pytest.approx((1 - HALF) * (1 - 2 / 3))}


def test_a_missed_item_costs_its_recall_and_background_costs_precision():
    """Wrong .9, right .5, one of two items found: precision 1/2 at the lower half of the recalls."""
    found = table(([("vest", HERE)], [("vest", HERE, 0.5), ("vest", FAR, 0.9)]), ([("vest", HERE)], []))

    assert counts(found) == {"background": 1, "missed": 1}
    assert costs(found) == {"background": pytest.approx(HALF / 2), "missed": pytest.approx(1 / 2 - HALF / 2)}


def test_an_item_that_an_error_is_about_is_not_missed_too():
    badly_placed = table(([("vest", HERE)], [("vest", UPPER, 0.9)]))
    wrong_category = table(([("vest", HERE)], [("skirt", HERE, 0.9)]))
    both = table(([("vest", HERE)], [("skirt", UPPER, 0.9)]))

    assert counts(badly_placed) == {"badly placed": 1}
    assert counts(wrong_category) == {"wrong category": 1}
    assert counts(both) == {"both": 1, "missed": 1}


def test_a_category_of_which_nothing_is_found_costs_all_of_its_ap():
    some = table(([("vest", HERE), ("skirt", FAR)], [("vest", HERE, 0.9)]))
    nothing = table(([("vest", HERE)], []))

    assert costs(some) == {"missed": pytest.approx(1 / 2)}
    assert costs(nothing) == {"missed": 1}


def test_a_category_without_items_costs_nothing_and_without_items_at_all_no_cost_is_known():
    other = table(([("vest", HERE)], [("vest", HERE, 0.9), ("skirt", FAR, 0.8)]))
    nothing = table(([], [("skirt", FAR, 0.8)]))

    assert (counts(other), costs(other)) == ({"background": 1}, {})
    assert counts(nothing) == {"background": 1}
    assert nothing["ap_cost"].isna().all()


@pytest.mark.parametrize(
    ("name", "box", "kind"),
    [
        ("vest", (0, 0, 100, 51), "duplicate"),
        ("vest", (0, 0, 100, 50), "duplicate"),
        ("vest", (0, 0, 100, 49), "badly placed"),
        ("vest", (0, 0, 100, 11), "badly placed"),
        ("vest", (0, 0, 100, 9), "background"),
        ("skirt", (0, 0, 100, 50), "wrong category"),
        ("skirt", (0, 0, 100, 49), "both"),
        ("skirt", (0, 0, 100, 11), "both"),
        ("skirt", (0, 0, 100, 9), "background"),
    ],
)
def test_the_kind_is_a_matter_of_category_and_overlap(name, box, kind):
    found = table(([("vest", HERE)], [("vest", HERE, 0.9), (name, box, 0.8)]))

    assert counts(found) == {kind: 1}


def test_errors_of_score_three_tenths_or_more_and_all_missed_items_are_shown():
    found = table(([("vest", HERE), ("skirt", FAR)], [("vest", HERE, 0.9), ("vest", HERE, 0.31), ("vest", HERE, 0.29)]))

    assert found.loc[["duplicate", "missed"], ["count", "shown"]].to_numpy().tolist() == [[2, 1], [1, 1]]


def reference(records, predictions):
    """hotcoco's own matching and kinds; it goes by the published tool."""
    rows = [(r.id, *g.box[:2], *(g.box[2:] - g.box[:2]), g.category + 1) for r in records for g in r.garments]
    columns = np.array(rows, float).reshape(-1, 6)
    truth = hotcoco.COCO.from_arrays(
        images=[{"id": r.id, "width": r.width, "height": r.height} for r in records],
        categories=[{"id": c.index + 1, "name": c.name} for c in DEEPFASHION2.categories],
        image_ids=columns[:, 0].astype(int),
        category_ids=columns[:, 5].astype(int),
        boxes=columns[:, 1:5],
    )
    results = [
        np.column_stack(
            [np.full(len(f), image), f.boxes[:, :2], f.boxes[:, 2:] - f.boxes[:, :2], f.scores, f.categories + 1]
        )
        for image, _, f in predictions
    ]
    evaluation = hotcoco.COCOeval(truth, truth.load_res(np.concatenate(results).astype(float)), "bbox")
    evaluation.evaluate()
    found = evaluation.tide_errors(pos_thr=0.5, bg_thr=0.1)
    names = dict(zip(ERRORS, ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"), strict=True))
    return {kind: (found["counts"][name], found["delta_ap"][name]) for kind, name in names.items()}


@cache
def full_cases() -> list[tuple[list, list]]:
    """Cases with an item and a detection at least: hotcoco takes no empty columns."""
    return [
        (records, predictions)
        for records, predictions in map(random_case, range(40))
        if any(one.garments for one in records) and any(len(found) for *_, found in predictions)
    ]


each_full_case = pytest.mark.parametrize(
    "number", [pytest.param(number, marks=[pytest.mark.slow] if number >= 8 else []) for number in range(38)]
)


@each_full_case
def test_counts_are_those_of_another_implementation_and_so_are_the_costs_of_what_only_goes(number):
    records, predictions = full_cases()[number]
    ours, theirs = errors_of(records, predictions).set_index("kind"), reference(records, predictions)

    assert ours["count"].to_dict() == {kind: count for kind, (count, _) in theirs.items()}
    for kind in ("both", "duplicate", "background"):
        assert ours.loc[kind, "ap_cost"] == pytest.approx(theirs[kind][1], abs=1e-12)


@each_full_case
def test_mending_never_costs_and_never_gains_more_than_ap_lacks(number):
    records, predictions = full_cases()[number]
    ap50 = evaluate(records, predictions, by_subset=False).value("box_ap50")

    assert errors_of(records, predictions)["ap_cost"].between(-1e-12, 1 - ap50 + 1e-12).all()


def test_the_number_of_detections_compared_at_a_time_changes_nothing(monkeypatch):
    records, predictions = random_case(3)
    expected = errors_of(records, predictions)

    monkeypatch.setattr(errors, "_CHUNK", 7)

    assert len(predictions) > 1
    assert errors_of(records, predictions).equals(expected)
