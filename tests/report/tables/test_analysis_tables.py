"""The tables of what goes wrong hold what evaluation counted."""

import pandas as pd
from measurements import confusion, errors, landmarks

from deepmark.eval.analysis.confusion import MISSED
from deepmark.report.tables.analysis_tables import (
    confusion_counts,
    confusion_table,
    error_table,
    hardest_landmarks,
    landmark_table,
)
from deepmark.vocabulary import DEEPFASHION2

NAMES = list(DEEPFASHION2.by_name)


def test_errors_are_counted_for_one_strategy_and_their_cost_is_given_for_each():
    table = error_table({"multiscale": errors(1), "none": errors(200)}, counted="multiscale")
    (duplicate,) = [row.cells for row in table.rows if row.cells[0] == "duplicate"]

    assert "NMS + flip + multi-scale" in table.note
    assert duplicate == ("duplicate", "10", "1", "0.200", "0.001")
    assert [row.cells[0] for row in table.rows] == list(errors().kind)
    assert table.rows[-1].cells[1] == "1,040"


def test_a_kind_that_a_strategy_does_not_know_is_a_dash():
    table = error_table({"none": errors().iloc[1:], "nms": errors()}, counted="nms")

    assert table.rows[0].cells == ("wrong category", "310", "31", "–", "0.041")


def test_the_confusion_is_a_square_of_all_categories_with_the_background_and_the_missed():
    counts = confusion_counts(confusion(), NAMES)

    assert counts.shape == (14, 14)
    assert counts.loc["vest", "sling"] == 10
    assert counts.loc["skirt", MISSED] == 4
    assert counts.to_numpy().sum() == confusion()["count"].sum()
    assert all(len(row.cells) == 15 for row in confusion_table(confusion(), NAMES).rows)


def test_of_landmarks_those_that_were_measured_are_listed():
    table = landmark_table(landmarks())

    assert len(table.rows) == DEEPFASHION2.landmarks - len(NAMES)
    assert table.rows[0].cells == (
        *("short sleeve top 2", DEEPFASHION2.categories[0].parts[1], "9", "0.0300", "0.0200", "0.025", "0.990"),
    )


def test_the_hardest_landmarks_are_those_nearest_to_nothing_if_labelled_often_enough():
    rows = landmarks()
    rows.loc[1, "labelled"] = 4
    table = hardest_landmarks(rows, most=14)

    assert len(table.rows) == 14
    assert "short sleeve top 2" not in [row.cells[0] for row in table.rows]
    assert {row.cells[0] for row in table.rows[:12]} == {f"{name} 2" for name in NAMES[1:]}
    assert [float(row.cells[5]) for row in table.rows] == sorted(float(row.cells[5]) for row in table.rows)


def test_there_may_be_nothing_to_list():
    assert landmark_table(landmarks().assign(labelled=0)).rows == ()
    assert confusion_counts(pd.DataFrame({"truth": [], "predicted": [], "count": []}), NAMES).to_numpy().sum() == 0
