"""All tables beside the AP, and their files."""

import pandas as pd
import pytest
from eval_samples import detections, garment, prediction, random_case, record

from deepmark.errors import DeepmarkError
from deepmark.eval.analysis.analyse import STEPS, diagnose, write_tables

COLUMNS = {
    "errors": ["kind", "count", "shown", "ap_cost"],
    "calibration": ["score_low", "score_high", "detections", "score_mean", "right"],
    "confusion": ["truth", "predicted", "count"],
    "landmarks": [
        *("category", "landmark", "part", "labelled", "error_mean", "error_median", "pck05", "pck10"),
    ],
    "curves": ["kind", "category", "overlap", "recall", "precision"],
    "items": [
        *("image_id", "item", "category", "source", "scale", "occlusion", "zoom_in", "viewpoint"),
        *("found_category", "score", "detection", "iou", "oks", "oks_visible"),
    ],
}


@pytest.mark.parametrize(
    ("records", "predictions"),
    [
        random_case(0),
        ([record(1, garment())], [prediction(1, detections())]),
        ([record(1)], [prediction(1, detections(("vest", (0, 0, 9, 9), 0.5)))]),
        ([record(1)], [prediction(1, detections())]),
        ([], []),
    ],
    ids=["many pictures", "nothing found", "nothing to find", "an empty picture", "no pictures"],
)
def test_every_table_has_its_columns_whatever_there_is(records, predictions):
    tables = diagnose(records, predictions)

    assert {name: list(table.columns) for name, table in tables.items()} == COLUMNS


def test_the_order_of_pictures_changes_nothing():
    records, predictions = random_case(0)

    there, back = diagnose(records, predictions), diagnose(records[::-1], predictions[::-1])

    for name, table in there.items():
        pd.testing.assert_frame_equal(table, back[name])


def test_progress_is_told_every_step():
    done: list[int] = []

    diagnose(*random_case(0), progress=done.append)

    assert sum(done) == STEPS


def test_predictions_of_other_pictures_are_refused():
    with pytest.raises(DeepmarkError, match="1 of 1 images without predictions"):
        diagnose([record(1, garment())], [prediction(2, detections())])


@pytest.mark.parametrize(("records", "predictions"), [random_case(0), ([record(1)], [prediction(1, detections())])])
def test_files_hold_the_tables_with_every_digit(tmp_path, records, predictions):
    tables = diagnose(records, predictions)

    write_tables(tmp_path, tables)

    assert {file.name for file in tmp_path.iterdir()} == {
        "items.parquet",
        *(f"{name}.csv" for name in COLUMNS if name != "items"),
    }
    items = pd.read_parquet(tmp_path / "items.parquet")
    pd.testing.assert_frame_equal(items, tables.pop("items"), check_dtype=False)
    for name, table in tables.items():
        read = pd.read_csv(tmp_path / f"{name}.csv")
        pd.testing.assert_frame_equal(read, table, check_dtype=False, rtol=0, atol=0)
