"""Which detection belongs to which item, and the confusion that follows."""

import numpy as np
import pytest
from eval_samples import Box, detections, garment, prediction, random_case, record

from deepmark.eval.analysis.assignment import assign_detections
from deepmark.eval.analysis.confusion import BACKGROUND, MISSED, confusion_table
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.eval.metric.overlaps import box_overlap
from deepmark.schema import FOUND_SCORE, SHOWN_SCORE
from deepmark.types import Detections, Garment
from deepmark.vocabulary import DEEPFASHION2

HERE: Box = (0, 0, 100, 100)
NEARLY: Box = (0, 0, 100, 90)
ROUGHLY: Box = (0, 0, 100, 60)
FAR: Box = (200, 200, 300, 300)
LOW = FOUND_SCORE / 2


def columns(*pictures: tuple[list[Garment], Detections]):
    truth = truth_columns([record(n, *items) for n, (items, _) in enumerate(pictures)])
    return truth, detection_columns([prediction(n, found) for n, (_, found) in enumerate(pictures)], truth)


def found_of(items: list[Garment], found: Detections) -> list[int]:
    return assign_detections(*columns((items, found))).tolist()


def test_the_better_scored_of_two_detections_belongs_to_the_item():
    assert found_of([garment("vest", HERE)], detections(("vest", NEARLY, 0.9), ("vest", HERE, 0.8))) == [0]


def test_a_stronger_detection_of_another_category_is_not_hidden_by_a_weaker_one_of_the_own():
    # detections are best first, so that the stronger one is 0
    assert found_of([garment("vest", HERE)], detections(("vest", HERE, 0.4), ("sling", NEARLY, 0.8))) == [0]
    assert found_of([garment("vest", HERE)], detections(("vest", HERE, 0.8), ("sling", NEARLY, 0.4))) == [0]


def test_a_detection_takes_an_item_of_its_own_category_before_a_nearer_one_of_another():
    items = [garment("long sleeve outwear", HERE), garment("vest", ROUGHLY)]
    found = detections(("vest", NEARLY, 0.9), ("long sleeve outwear", HERE, 0.8))

    assert found_of(items, found) == [1, 0]


def test_among_items_of_its_category_a_detection_takes_the_one_it_overlaps_most():
    items = [garment("vest", ROUGHLY), garment("vest", HERE)]

    assert found_of(items, detections(("vest", HERE, 0.9))) == [-1, 0]
    assert found_of(items, detections(("vest", HERE, 0.9), ("vest", NEARLY, 0.8))) == [1, 0]


def test_a_detection_that_is_far_or_weak_belongs_to_nothing():
    assert found_of([garment("vest", HERE)], detections(("vest", FAR, 0.9), ("vest", HERE, LOW))) == [-1]
    assert found_of([garment("vest", HERE)], detections()) == [-1]
    assert found_of([], detections(("vest", HERE, 0.9))) == []


def test_pictures_do_not_meet():
    truth, results = columns(
        ([garment("vest", HERE)], detections()),
        ([garment("vest", HERE), garment("skirt", FAR)], detections(("vest", HERE, 0.9), ("skirt", FAR, 0.8))),
        ([], detections(("vest", HERE, 0.9))),
    )

    assert assign_detections(truth, results).tolist() == [-1, 0, 1]


@pytest.mark.parametrize("seed", range(10))
def test_belonging_does_not_change_when_weaker_detections_are_left_out(seed):
    records, predictions = random_case(seed)
    truth = truth_columns(records)
    results = detection_columns(predictions, truth)

    everything, strong = assign_detections(truth, results), assign_detections(truth, results, min_score=0.5)

    is_strong = (everything >= 0) & (results.scores[everything] >= 0.5)
    assert strong.tolist() == np.where(is_strong, everything, -1).tolist()


def found_one_by_one(truth, results) -> list[int]:
    """The rule in the words of its docstring, a detection at a time."""
    found = [-1] * len(truth)
    for row in np.lexsort((np.arange(len(results)), -results.scores)).tolist():
        if results.scores[row] < FOUND_SCORE:
            continue
        best: tuple[bool, float] | None = None
        for item in np.flatnonzero(truth.image == results.image[row]).tolist():
            (overlap,) = box_overlap(results.boxes[[row]].astype(np.float64), truth.boxes[[item]])
            offer = (bool(truth.category[item] == results.category[row]), float(overlap))
            if found[item] < 0 and overlap >= 0.5 and (best is None or offer > best):
                best, chosen = offer, item
        if best is not None:
            found[chosen] = row
    return found


@pytest.mark.parametrize("seed", range(20))
def test_all_pictures_at_once_are_as_a_detection_at_a_time(seed):
    records, predictions = random_case(seed)
    truth = truth_columns(records)
    results = detection_columns(predictions, truth)

    assert assign_detections(truth, results).tolist() == found_one_by_one(truth, results)


@pytest.mark.parametrize("seed", range(10))
def test_no_detection_belongs_to_two_items_and_each_overlaps_its_own(seed):
    records, predictions = random_case(seed)
    truth = truth_columns(records)
    results = detection_columns(predictions, truth)

    found = assign_detections(truth, results)

    taken = found[found >= 0]
    assert len(set(taken.tolist())) == len(taken)
    assert (results.image[taken] == truth.image[found >= 0]).all()
    assert (box_overlap(results.boxes[taken].astype(np.float64), truth.boxes[found >= 0]) >= 0.5).all()


def table(*pictures: tuple[list[Garment], Detections]):
    truth, results = columns(*pictures)
    return confusion_table(truth, results, assign_detections(truth, results))


def cells(*pictures: tuple[list[Garment], Detections]) -> dict[tuple[str, str], int]:
    counts = table(*pictures).set_index(["truth", "predicted"])["count"]
    return {cell: count for cell, count in counts.items() if count}


def test_the_confusion_counts_items_found_taken_for_another_and_missed_and_detections_of_nothing():
    picture = (
        [garment("vest", HERE), garment("skirt", FAR), garment("shorts", (0, 200, 100, 300))],
        detections(("vest", HERE, 0.9), ("trousers", FAR, 0.8), ("vest dress", (150, 0, 190, 90), 0.7)),
    )

    assert cells(picture, picture) == {
        ("vest", "vest"): 2,
        ("skirt", "trousers"): 2,
        ("shorts", MISSED): 2,
        (BACKGROUND, "vest dress"): 2,
    }


def test_a_second_detection_of_an_item_is_one_of_background():
    found = detections(("vest", HERE, 0.9), ("sling", HERE, 0.8))

    assert cells(([garment("vest", HERE)], found)) == {("vest", "vest"): 1, (BACKGROUND, "sling"): 1}


def test_detections_below_three_tenths_confuse_no_one():
    below = np.nextafter(np.float32(SHOWN_SCORE), 0)
    picture = ([garment("vest", HERE)], detections(("sling", HERE, float(below)), ("skirt", FAR, float(below))))

    assert cells(picture) == {("vest", MISSED): 1}


@pytest.mark.parametrize("seed", range(10))
def test_the_counts_of_a_truth_are_its_items_and_those_of_a_prediction_its_detections(seed):
    records, predictions = random_case(seed)
    truth = truth_columns(records)
    results = detection_columns(predictions, truth)
    found = confusion_table(truth, results, assign_detections(truth, results))

    items, shown = found.groupby("truth")["count"].sum(), found.groupby("predicted")["count"].sum()

    assert len(found) == 14 * 14 - 1
    for category in DEEPFASHION2.categories:
        assert items[category.name] == (truth.category == category.index).sum()
        assert shown[category.name] == (results.category[results.scores >= SHOWN_SCORE] == category.index).sum()
