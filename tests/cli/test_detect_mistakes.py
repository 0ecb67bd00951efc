"""What `deepmark detect` answers to mistakes: one message each, and nothing is written."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vocabularies import SMALL
from white_images import standard_input

from deepmark.errors import DeepmarkError
from deepmark.infer import detection_files
from deepmark.infer.choose_garments import category_numbers
from deepmark.vocabulary import DEEPFASHION2

MISTAKES = {
    "in/a.png --category skrt": "--category: no category is named 'skrt'. Did you mean 'skirt'?",
    "in/a.png --category hat": "--category: no category is named 'hat'. Choose one of: short sleeve top, ",
    "in/x.png": "in/x.png: no such image or folder.",
    "empty": "empty: no images in it (.avif, .bmp",
    "outer": "outer: no images in it (.avif, .bmp",
    "in/*.tif": "in/*.tif: no file matches this pattern. Check its folder, and ** for all folders.",
    "http://127.0.0.1:9/a.jpg": "http://127.0.0.1:9/a.jpg: the server does not accept connections.",
    "ftp://127.0.0.1/a.jpg": "ftp://127.0.0.1/a.jpg: only http and https are read.",
    "-": "standard input: text, not a JPEG, PNG, ",
    "- in/a.png": "-: standard input is one image, and is named alone.",
    "98": "camera 98: there is no /dev/video98.",
    "98 in/a.png": "98: no such image or folder; a camera is named alone.",
    "no.mp4": "no.mp4: no such file.",
    "text.mp4": "text.mp4: no video, or one that is damaged or cut off",
    "in/a.png text.mp4": "text.mp4: a video, and is named alone",
    "in/a.png --out found.xls": "--out found.xls: its ending names no format of detections. Choose one of: ",
    "in/a.png --out text.csv": "text.csv: a file of this name holds something else than a table of `deepmark detect`",
    "in/a.png --out text.jsonl": "text.jsonl: a file of this name holds something else than lines of `deepmark detect`",
    "in/a.png --out text.parquet": "text.parquet: a file of this name holds something else than Parquet",
    "in/a.png --out other.parquet": "other.parquet: a Parquet file of this name holds something else than detections",
    "in/a.png --crops in": "--crops in: holds images to detect in. Name another folder for the crops.",
    "in/a.png --crops outer": "outer/a-01-skirt.jpg is there, and is no crop of `deepmark detect`.",
    "in/a.png --draw drawn.jpg": "--draw drawn.jpg: the name of an image. Name a folder for the drawings, such as",
    "in/a.png --crops skirt.PNG": "--crops skirt.PNG: the name of an image. Name a folder for the crops, such as",
    "in/a.png --crops out --draw out": "--crops out: is also the folder of --draw. Name another folder.",
    "in/a.png --device tpu": "device 'tpu': an exported model runs on 'cpu', 'cuda' or 'cuda:1'.",
    "in/a.png --strategy multiscale": "multiscale",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_message(detect, tmp_path, monkeypatch, words):
    standard_input(monkeypatch, b"text")
    for name in ("text.mp4", "text.csv", "text.jsonl", "text.parquet"):
        (tmp_path / name).write_text("three years of work")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    (tmp_path / "empty").mkdir()
    (tmp_path / "outer/inner").mkdir(parents=True)
    (tmp_path / "outer/a-01-skirt.jpg").write_text("mine") if "--crops" in words else None
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = detect(*words.split())

    assert (done.code, done.out) == (1, "")
    assert f"deepmark detect: {MISTAKES[words]}" in done.err or MISTAKES[words] in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_folder_of_folders_names_the_option(detect, tmp_path):
    (tmp_path / "outer/inner").mkdir(parents=True)

    assert "--recursive also reads the folders in it." in detect("outer").err


def test_a_terminal_is_not_waited_for(detect, monkeypatch):
    standard_input(monkeypatch, b"", is_terminal=True)

    assert "standard input is a terminal. Pipe an image: `deepmark detect - < photo.jpg`." in detect("-").err


def test_parquet_without_pyarrow_names_the_extra(detect, monkeypatch):
    monkeypatch.setattr(detection_files, "find_spec", lambda name: None)
    done = detect("in/a.png", "--out", "found.parquet")

    assert done.code == 1
    assert "--out found.parquet: Parquet needs the extra 'train': `pip install '.[train]'`" in done.err


def test_categories_are_known_by_any_spelling():
    assert category_numbers(["vest dress", "Vest-Dress", "vest_dress"], DEEPFASHION2) == {11}


def test_categories_of_another_vocabulary_are_known_by_their_names():
    assert category_numbers(["hat", "Bag"], SMALL) == {0, 2}
    with pytest.raises(DeepmarkError, match=r"no category is named 'skirt'\."):
        category_numbers(["skirt"], SMALL)
