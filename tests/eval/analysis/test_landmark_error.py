"""How far landmarks lie from where they are labelled."""

from dataclasses import replace

import numpy as np
import pytest
from eval_samples import Box, detections, garment, prediction, random_case, record

from deepmark.eval.analysis.assignment import assign_detections
from deepmark.eval.analysis.landmark_error import landmark_table
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.types import Detections, Garment
from deepmark.vocabulary import DEEPFASHION2

WIDE: Box = (0, 0, 400, 100)
"""Root of its area 200, longer side 400."""


def moved(found: Detections, *, landmark: int, by: tuple[float, float]) -> Detections:
    """The first detection's landmark (from 1) elsewhere."""
    landmarks = found.landmarks.copy()
    landmarks[0, landmark - 1] += np.array(by, np.float32)
    return replace(found, landmarks=landmarks)


def table(*pictures: tuple[Garment, Detections]):
    truth = truth_columns([record(n, item) for n, (item, _) in enumerate(pictures)])
    results = detection_columns([prediction(n, found) for n, (_, found) in enumerate(pictures)], truth)
    return landmark_table(truth, results, assign_detections(truth, results)).set_index(["category", "landmark"])


def test_every_landmark_has_a_row_and_its_part():
    rows = table((garment(), detections())).reset_index()

    assert rows["part"].tolist() == list(DEEPFASHION2.parts)
    assert rows["category"].tolist() == [c.name for c in DEEPFASHION2.categories for _ in range(c.landmarks)]
    assert rows["landmark"].tolist() == [i + 1 for c in DEEPFASHION2.categories for i in range(c.landmarks)]
    assert (rows["labelled"] == 0).all()
    assert rows[["error_mean", "error_median", "pck05", "pck10"]].isna().all(axis=None)


def test_an_error_is_the_distance_by_the_root_of_the_boxes_area():
    found = detections(("vest", WIDE, 0.9))

    row = table((garment("vest", WIDE), moved(found, landmark=2, by=(30, 40)))).loc["vest", 2]

    assert row["error_mean"] == pytest.approx(50 / 200, abs=1e-6)


def test_mean_median_and_shares_are_over_the_items():
    """Distances of 0, 24 and 60 of a longer side of 400: within .05, within .10, and beyond both."""
    found = detections(("vest", WIDE, 0.9))
    pictures = [(garment("vest", WIDE), moved(found, landmark=2, by=(x, 0))) for x in (0, 24, 60)]

    row = table(*pictures).loc["vest", 2]

    assert row["labelled"] == 3
    assert row["error_mean"] == pytest.approx(28 / 200, abs=1e-6)
    assert row["error_median"] == pytest.approx(24 / 200, abs=1e-6)
    assert row["pck05"] == pytest.approx(1 / 3)
    assert row["pck10"] == pytest.approx(2 / 3)


def test_one_landmark_moved_is_one_rows_error():
    exact = table((garment("vest", WIDE), detections(("vest", WIDE, 0.9)))).loc["vest"]
    other = table((garment("vest", WIDE), moved(detections(("vest", WIDE, 0.9)), landmark=2, by=(3, 0)))).loc["vest"]

    changed = ~np.isclose(exact["error_mean"], other["error_mean"], rtol=0, atol=1e-9)
    assert np.flatnonzero(changed).tolist() == [1]


def test_occluded_landmarks_count_and_unlabelled_ones_do_not():
    states = np.full(DEEPFASHION2.by_name["vest"].landmarks, 2)
    states[:2] = 1, 0

    rows = table((garment("vest", WIDE, v=states), detections(("vest", WIDE, 0.9)))).loc["vest"]

    assert rows["labelled"].tolist() == [1, 0] + [1] * (len(states) - 2)
    assert np.isnan(rows.loc[2, "pck10"])


@pytest.mark.parametrize(
    "found",
    [detections(("sling", WIDE, 0.9)), detections(("vest", (0, 0, 100, 100), 0.9)), detections(("vest", WIDE, 0.01))],
    ids=["of another category", "elsewhere", "too weak"],
)
def test_only_items_found_as_what_they_are_are_asked(found):
    assert table((garment("vest", WIDE), found))["labelled"].sum() == 0


@pytest.mark.parametrize("seed", range(10))
def test_shares_grow_with_the_distance_allowed_and_what_counts_is_labelled(seed):
    records, predictions = random_case(seed)
    truth = truth_columns(records)
    results = detection_columns(predictions, truth)
    rows = landmark_table(truth, results, assign_detections(truth, results))

    known = rows[rows["labelled"] > 0]
    assert (known["pck05"] <= known["pck10"]).all()
    assert known[["pck05", "pck10"]].ge(0).all(axis=None)
    assert rows["labelled"].sum() <= (truth.landmarks[:, :, 2] > 0).sum()
