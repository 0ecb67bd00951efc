"""What an evaluation left is read for the report, and damage to any of its files is told."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from measurements import ap, calibration, confusion, curves, errors, items, landmarks, metrics
from registered import flip_bit

from deepmark.data.parquet import write_table
from deepmark.digests import write_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.files import write_json
from deepmark.report.read_results import COLUMNS, TABLES, read_measured

FRAMES = {
    "ap": ap,
    "landmarks": landmarks,
    "errors": errors,
    "confusion": confusion,
    "curves": curves,
    "calibration": calibration,
}


@pytest.fixture
def results(tmp_path: Path) -> tuple[Path, Path, Path]:
    """metrics/nms.json, tables/nms and plots/nms.csv as an evaluation writes them."""
    metrics_file, tables, plot = tmp_path / "metrics/nms.json", tmp_path / "tables/nms", tmp_path / "plots/nms.csv"
    for folder in (metrics_file.parent, tables, plot.parent):
        folder.mkdir(parents=True)
    for name, frame in FRAMES.items():
        frame().to_csv(tables / f"{name}.csv", index=False)
    write_table(tables / "items.parquet", pa.Table.from_pandas(items(), preserve_index=False))
    plot.write_text("category,box_ap,landmark_ap\nvest,0.5,0.5\n")
    write_json_with_digest(metrics_file, metrics(interval=False), files=[*sorted(tables.iterdir()), plot])
    return metrics_file, tables, plot


def without_digest(metrics_file: Path) -> dict:
    """The metrics as an earlier release wrote them, which checks nothing."""
    values = json.loads(metrics_file.read_text("utf-8"))
    values = {name: value for name, value in values.items() if name not in ("digest", "sha256")}
    write_json(metrics_file, values)
    return values


def test_tables_are_read_with_their_types(results):
    measured = read_measured(*results)

    for name, frame in FRAMES.items():
        pd.testing.assert_frame_equal(getattr(measured, name), frame())
    pd.testing.assert_frame_equal(measured.items, items())
    assert measured.metrics["box"] == metrics()["box"]


@pytest.mark.parametrize("name", [*TABLES, "nms.csv", "nms.json"])
def test_a_flipped_bit_in_any_file_is_told_with_the_stage_to_run(results, name):
    metrics_file, tables, plot = results
    (file,) = [one for one in (metrics_file, plot, *tables.iterdir()) if one.name == name]
    flip_bit(file)

    with pytest.raises(DeepmarkError, match=rf"{name}: damaged.*`deepmark evaluate --strategy nms` again"):
        read_measured(*results)


def test_tables_of_another_evaluation_are_told(results):
    ap(0.25).to_csv(results[1] / "ap.csv", index=False)

    with pytest.raises(DeepmarkError, match=r"ap\.csv: damaged, or not the one that .*nms\.json was written with"):
        read_measured(*results)


def test_files_of_an_earlier_release_are_read(results):
    without_digest(results[0])
    items().to_parquet(results[1] / "items.parquet")
    results[2].unlink()

    assert read_measured(*results).metrics["images"] == 300


@pytest.mark.parametrize("text", ["", "metric,scope", "metric,scope,value,low,high\nbox_ap,all,0.x,0,1\n", "\xff"])
def test_a_table_of_an_earlier_release_that_cannot_be_read_is_told(results, text):
    without_digest(results[0])
    (results[1] / "ap.csv").write_bytes(text.encode("latin1"))

    with pytest.raises(DeepmarkError, match=r"ap\.csv: damaged \(.*`deepmark evaluate --strategy nms` again"):
        read_measured(*results)


@pytest.mark.parametrize("value", [4.0, -0.1, float("inf")])
def test_an_ap_that_cannot_be_is_refused_in_tables_and_in_metrics(results, value):
    metrics_file, tables, _ = results
    values = without_digest(metrics_file)
    frame = ap()
    frame.loc[3, "value"] = value
    frame.to_csv(tables / "ap.csv", index=False)
    with pytest.raises(DeepmarkError, match=r"ap\.csv: damaged \(an AP of"):
        read_measured(*results)

    values["landmark"] = values["landmark"] | {"AP50": value}
    metrics_file.write_text(json.dumps(values))
    with pytest.raises(DeepmarkError, match=r"nms\.json: damaged: landmark AP50, visible \+ occluded is .*cannot be"):
        read_measured(*results)


@pytest.mark.parametrize("change", [{"box": 1}, {"box": {"AP": 0.5}}, {"ms": [1.0]}, {"ms": {"total": -1.0}}])
def test_metrics_of_another_form_are_told(results, change):
    values = without_digest(results[0])
    write_json(results[0], values | change)

    with pytest.raises(DeepmarkError, match=r"nms\.json: damaged.*`deepmark evaluate --strategy nms` again"):
        read_measured(*results)


def test_every_table_has_its_columns():
    assert {name: list(frame().columns) for name, frame in FRAMES.items()} == {
        name: list(columns) for name, columns in COLUMNS.items()
    }
