"""Detections in the forms of pandas, COCO and supervision."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from eval_samples import detections, prediction
from vocabularies import SMALL, random_detections

from deepmark.data.coco.writer import write_coco_results
from deepmark.errors import DeepmarkError
from deepmark.images import open_image
from deepmark.infer.detection_files import format_of
from deepmark.vocabulary import DEEPFASHION2

FOUND = detections(("vest", (0, 0, 9, 12), 0.75), ("skirt", (5, 0, 30, 60), 0.5))


def test_pandas_has_a_row_for_each_garment():
    frame = FOUND.to_pandas()

    assert frame.to_dict("records") == [
        {"category": "vest", "score": 0.75, "x0": 0, "y0": 0, "x1": 9, "y1": 12},
        {"category": "skirt", "score": 0.5, "x0": 5, "y0": 0, "x1": 30, "y1": 60},
    ]
    assert list(FOUND[:0].to_pandas().columns) == list(frame.columns)


def test_pandas_has_a_row_for_each_landmark_if_asked():
    frame = FOUND.to_pandas(landmarks=True)
    skirt = frame[frame.garment == 1]

    assert len(frame) == sum(DEEPFASHION2.by_name[name].landmarks for name in ("vest", "skirt"))
    assert set(skirt.category) == {"skirt"}
    assert list(skirt.landmark) == list(DEEPFASHION2.by_name["skirt"].parts)
    np.testing.assert_array_equal(skirt[["x", "y"]], FOUND.landmarks[1, : len(skirt)])
    assert FOUND[:0].to_pandas(landmarks=True).empty


def test_coco_results_are_those_of_the_written_files(tmp_path):
    write_coco_results(tmp_path / "results.json", [prediction(7, FOUND)])

    results = FOUND.to_coco(7)

    assert json.loads(json.dumps(results)) == json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results[1]["bbox"] == [5, 0, 25, 60]
    assert len(results[1]["keypoints"]) == 3 * DEEPFASHION2.landmarks


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".csv", ".parquet", ".coco.json"])
def test_every_file_of_detections_has_pose_scores_where_there_are_any(tmp_path, ending):
    found = replace(FOUND, pose_scores=np.array([0.5, 0.25], np.float32))
    for name, one in (("plain", FOUND), ("rescored", found)):
        with format_of(Path(f"x{ending}")).open(tmp_path / f"{name}{ending}") as write:
            write("a.jpg", open_image(np.zeros((90, 60, 3), np.uint8), name="a.jpg"), one)
    plain, rescored = (tmp_path / f"{name}{ending}" for name in ("plain", "rescored"))

    if ending == ".parquet":
        assert "pose_score" not in pq.read_schema(plain).names
        assert pq.read_table(rescored).column("pose_score").to_pylist() == [0.5, 0.25]
    elif ending == ".csv":
        head, *rows = rescored.read_text("utf-8").splitlines()
        assert head == plain.read_text("utf-8").splitlines()[0] + ",pose_score"
        assert [row.rpartition(",")[2] for row in rows] == ["0.5", "0.25"]
    else:
        assert "pose_score" not in plain.read_text("utf-8")
        assert rescored.read_text("utf-8").count('"pose_score": 0.') == 2


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_file_of_no_images_has_its_columns(tmp_path, ending):
    file = tmp_path / f"none{ending}"
    with format_of(file).open(file):
        pass

    names = pq.read_schema(file).names if ending == ".parquet" else file.read_text("utf-8").strip().split(",")
    assert names[:2] == ["image", "garment"]


def test_supervision_gets_boxes_scores_names_and_landmarks(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=lambda **given: given))

    given = FOUND.to_supervision()

    assert given.keys() == {"xyxy", "confidence", "class_id", "data"}
    assert given["xyxy"] is FOUND.boxes
    assert given["confidence"].tolist() == [0.75, 0.5]
    assert given["class_id"].tolist() == [DEEPFASHION2.by_name[name].index for name in ("vest", "skirt")]
    assert given["data"]["class_name"].tolist() == ["vest", "skirt"]
    assert given["data"]["landmarks"].shape == (2, 39, 2)
    assert given["data"]["landmark_scores"].shape == (2, 39)


def test_a_missing_supervision_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)

    with pytest.raises(DeepmarkError, match="pip install supervision"):
        FOUND.to_supervision()


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".csv", ".parquet", ".coco.json"])
def test_every_file_of_detections_has_the_names_of_their_vocabulary(tmp_path, ending):
    found = random_detections(SMALL, np.random.default_rng(0), 20)
    file = tmp_path / f"x{ending}"
    with format_of(file).open(file) as write:
        write("a.jpg", open_image(np.zeros((90, 60, 3), np.uint8), name="a.jpg"), found)

    if ending == ".parquet":
        assert set(pq.read_table(file).column("category").to_pylist()) == {"bag", "shoe", "hat"}
        return
    text = file.read_text("utf-8")
    assert "left handle" in text or ending == ".csv"
    assert all(name in text for name in SMALL.by_name)
    assert "short" not in text
    if ending == ".coco.json":
        values = json.loads(text)
        assert [one["id"] for one in values["categories"]] == [1, 2, 3]
        assert {len(one["keypoints"]) for one in values["annotations"]} == {3 * SMALL.landmarks}
