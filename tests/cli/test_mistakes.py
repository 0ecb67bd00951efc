"""Mistakes that people make, each with its message: nothing is written, nothing is replaced, no traceback is shown."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from workspaces import copied

from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2

USAGE = 2
"""The exit code where an option or its value is unknown."""


@pytest.fixture(scope="module")
def desk(sharded_once, tmp_path_factory):
    """A folder as a person may have it: photographs, notes, links, a model, a workspace, and spoilt ones."""
    desk = tmp_path_factory.mktemp("desk")
    for number, name in enumerate(("photos/a.png", "photos/b.jpg", "drawn/a.jpg")):
        (desk / name).parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(desk / name)
    for folder in ("empty", "linked", "hardlinked", "full"):
        (desk / folder).mkdir()
    (desk / "same").symlink_to("photos")
    (desk / "linked/a.jpg").symlink_to("../photos/b.jpg")
    os.link(desk / "photos/b.jpg", desk / "hardlinked/a.jpg")
    (desk / "photo.json").symlink_to("photos/b.jpg")
    (desk / "circle").symlink_to("circle")
    for name in ("notes.txt", "notes.json"):
        (desk / name).write_text("three years of work")
    (desk / "full/letter.txt").write_text("dear")
    (desk / "old.json").write_text("{}")
    (desk / "shop.json").write_text('{"name": "shop", "scripts": [{"category": "none"}]}')
    (desk / "list.json").write_text("[1, 2]")
    (desk / "truth.coco.json").write_text('{"info": {"contributor": "us"}, "images": [], "annotations": []}')
    (desk / "cut.json").write_text('{"images": [')
    (desk / "latin.json").write_bytes(b'{"images": "caf\xe9"}')
    network = build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1)
    save_detector(network, desk / "model.safetensors")
    copied(sharded_once, desk)
    shutil.copytree(desk / "workspace", desk / "spoilt", symlinks=True)
    (desk / "spoilt/params.yaml").write_text("data: [")
    shutil.copytree(desk / "workspace", desk / "odd", symlinks=True)
    shutil.rmtree(desk / "odd/data/raw")
    shutil.rmtree(desk / "odd/data/shards")
    (desk / "odd/data/records/train.parquet").write_bytes(b"PAR1 cut")
    return desk


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder with its size and the time of its last change."""
    found = {path: path.lstat() for path in sorted(folder.rglob("*"))}
    return {str(path.relative_to(folder)): (status.st_size, status.st_mtime_ns) for path, status in found.items()}


DETECT = "detect photos --model model.safetensors"
MEASURE = "measure photos --model model.safetensors"
SCORE = "score old.json cut.json --kind bbox"
MISTAKES = {
    # what is written is an input, or somebody's file
    f"{DETECT} --draw photos": "--draw photos: holds images to detect in",
    f"{DETECT} --draw empty/../photos": "--draw empty/../photos: holds images to detect in",
    f"{DETECT} --draw same": "--draw same: holds images to detect in",
    "detect photos/a.png --model model.safetensors --draw photos": "--draw photos: holds images to detect in",
    f"{DETECT} --draw linked": "--draw linked: linked/a.jpg is also an input",
    f"{DETECT} --draw hardlinked": "--draw hardlinked: hardlinked/a.jpg is also an input",
    f"{DETECT} --draw drawn": "--draw drawn: drawn/a.jpg is there, and is no drawing of `deepmark detect`",
    f"{DETECT} --out photos/b.jpg": "--out photos/b.jpg: is also an input",
    f"{DETECT} --out photo.json": "--out photo.json: is also an input",
    f"{DETECT} --out hardlinked/a.jpg": "--out hardlinked/a.jpg: is also an input",
    f"{DETECT} --out model.safetensors": "--out model.safetensors: is also an input",
    f"{DETECT} --draw empty --out empty/b.jpg": "--out empty/b.jpg: is also an input",
    f"{DETECT} --out notes.json": "--out notes.json: a file of this name holds something else than detections of",
    f"{DETECT} --out shop.json": "--out shop.json: a file of this name holds something else than detections of",
    f"{DETECT} --out list.json": "--out list.json: a file of this name holds something else than detections of",
    f"{DETECT} --out truth.coco.json": "truth.coco.json: a file of this name holds something else than a COCO data set",
    f"{MEASURE} --out shop.json": "shop.json: a file of this name holds something else than measurements of",
    f"{DETECT} --out notes.txt": "--out notes.txt: its ending names no format of detections",
    f"{DETECT} --out workspace/metrics/x.json": "which a stage writes. Name another place",
    f"{DETECT} --draw workspace/report": "workspace/report, which a stage writes",
    "score old.json cut.json --kind bbox --out old.json": "--out old.json: is also an input",
    "score old.json photos/b.jpg --kind bbox --out drawn/a.jpg": "holds something else than scores of `deepmark score`",
    f"{SCORE} --out shop.json": "--out shop.json: a file of this name holds something else than scores of",
    "compare none nms -w workspace --out notes.txt": "holds something else than figures of `deepmark compare`",
    "compare none nms -w workspace --out old.json": "holds something else than figures of `deepmark compare`",
    "convert --to coco --split train -w workspace --out notes.txt": "else than a COCO data set of DeepMark",
    "convert --to coco --split train -w workspace --out truth.coco.json": "else than a COCO data set of DeepMark",
    "convert --to coco-results --strategy nms -w workspace --out list.json": "holds something else than COCO results",
    "register -w workspace --out shop.json": "holds something else than facts of `deepmark register`",
    "promote -w workspace --out shop.json": "holds something else than facts of `deepmark promote`",
    "convert --from coco old.json --images photos --out full": "there is something already. Give a new folder",
    "import-checkpoint notes.txt --backbone dla34 --out notes.txt": "--out notes.txt: is also an input",
    "import-checkpoint notes.txt --backbone dla34 --out model.safetensors": "something else than an imported model",
    "synth full": "full: holds other data already (letter.txt)",
    "synth workspace/data/raw": "holds a drawn data set that differs in ",
    "init full": "not empty, and not a workspace",
    "init workspace --profile paper": "a workspace of the profile demo already; it stays as it is",
    # a place that cannot be written
    f"{DETECT} --draw notes.txt": "--draw notes.txt: is a file. Name a folder",
    f"{DETECT} --draw notes.txt/in": "notes.txt is not a folder",
    f"{DETECT} --draw /proc/drawn": "--draw /proc/drawn: /proc cannot be written",
    f"{DETECT} --out empty": "--out empty: is a folder. Name a file",
    f"{DETECT} --out /proc/x.json": "--out /proc/x.json: /proc cannot be written",
    f"{DETECT} --out /dev/null": "--out /dev/null: is a device, not a file",
    f"{SCORE} --out empty": "--out empty: is a folder. Name a file",
    "convert --to coco --split train -w workspace --out empty": "--out empty: is a folder. Name a file",
    "convert --from coco old.json --images photos --out notes.txt": "--out notes.txt: is a file. Name a folder",
    "import-checkpoint notes.txt --backbone dla34 --out empty": "--out empty: is a folder. Name a file",
    "register -w workspace --out empty": "--out empty: is a folder. Name a file",
    "synth notes.txt": "DIR notes.txt: is a file. Name a folder",
    "synth /proc/drawn": "DIR /proc/drawn: /proc cannot be written",
    "init notes.txt": "notes.txt: is a file. Give a new folder",
    "init /proc/new": "/proc/new: no such file or folder",
    "demo notes.txt": "notes.txt: is a file. Give a new folder",
    # a spelling of an earlier release
    f"{DETECT} --json found.json": "found.json: not an image. --json prints the detections on standard output; `--out",
    f"{DETECT} --json old.json": "old.json: not an image. --json prints",
    f"{DETECT} --json -": "-: standard input is one image, and is named alone. --json prints",
    f"{DETECT} --json=found.json": "--json takes no value: it prints JSON on standard output",
    # an input that is not there, or is something else
    "detect nowhere.jpg --model model.safetensors": "nowhere.jpg: no such image or folder",
    "detect empty --model model.safetensors": "empty: no images in it",
    f"detect {'x' * 300} --model model.safetensors": "the name is too long for its file system",
    "detect circle --model model.safetensors": "circle",
    "detect photos --model nowhere.safetensors": "nowhere.safetensors: no such file",
    "detect photos --model models:/deepmark@champion -w empty": "empty: no workspace here, whose registry would have",
    "detect photos --model photos": "photos: this folder is no workspace. Give a workspace, a file",
    "detect photos --model photos/b.jpg": "photos/b.jpg: damaged, or not a safetensors file",
    "score nowhere.json old.json --kind bbox": "nowhere.json",
    "score cut.json old.json --kind bbox": "cut.json",
    "score latin.json old.json --kind bbox": "latin.json",
    "score photos old.json --kind bbox": "photos",
    "import-checkpoint photos/b.jpg --backbone dla34 --out x.safetensors": "photos/b.jpg",
    "compare other none -w workspace": "other: neither a strategy",
    # no workspace, or a spoilt one
    "ingest --split train -w nowhere": "nowhere: no workspace here (it has no params.yaml)",
    "ingest --split train -w notes.txt": "notes.txt: a file, not a workspace",
    "train -w empty": "empty: no workspace here",
    "models -w empty": "empty: no workspace here",
    "register -w empty": "empty: no workspace here",
    "promote -w empty": "empty: no workspace here",
    "rollback -w empty": "empty: no workspace here",
    "model -w empty": "empty: no workspace here",
    "convert --to coco --split train --out x.json -w empty": "empty: no workspace here",
    "ingest --split train -w spoilt": "spoilt/params.yaml: cannot be read as YAML",
    "ingest --split train -w odd": "data/raw/train/image: no such folder",
    "shard --split train -w odd": "records/train.parquet",
    "train -w odd": "odd/data/shards/train: not there yet. Make it with `deepmark shard --split train`",
    "report -w workspace": "metrics/none.json: not there yet. Make it with `deepmark evaluate --strategy none`",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_message_and_changes_nothing(deepmark, desk, monkeypatch, words):
    monkeypatch.chdir(desk)
    before = contents(desk)
    done = deepmark(*words.split())

    assert (done.code, done.out) == (1, "")
    assert MISTAKES[words] in done.err
    last = done.err.rstrip().splitlines()[-1]
    assert last.startswith(f"deepmark {words.split()[0]}: ")
    assert re.search(r"[.)]$", last), last
    assert "Traceback" not in done.err
    assert contents(desk) == before


def test_images_after_json_are_read_and_not_written_over(deepmark, desk, monkeypatch):
    monkeypatch.chdir(desk)
    before = contents(desk)
    done = deepmark("detect", "--json", "photos/a.png", "photos/b.jpg", "--model", "model.safetensors")

    assert list(done.facts) == ["photos/a.png", "photos/b.jpg"]
    assert contents(desk) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("detcet photos", "detect"),
        ("detect photos --modle x", "--model"),
        ("detect photos --min-score 2", "2.0 is not in the range 0<=x<=1"),
        ("ingest --split test", "validation"),
        ("predict", "--strategy"),
        ("init new --profile papers", "modern"),
        ("detect", "IMAGE"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(deepmark, desk, monkeypatch, words, message):
    monkeypatch.chdir(desk)
    before = contents(desk)
    done = deepmark(*words.split())

    assert (done.code, done.out) == (USAGE, "")
    assert message in " ".join(done.err.split())
    assert contents(desk) == before


@pytest.mark.parametrize(
    "words",
    [
        "synth new",
        "ingest --split train -w workspace",
        "shard --split train -w workspace",
        "train -w workspace",
        "convert --to coco --split train -w workspace --out new.json",
        f"{DETECT} --draw new",
    ],
)
def test_what_cannot_fit_on_the_disk_is_refused_before_anything_is_written(deepmark, desk, monkeypatch, words):
    monkeypatch.chdir(desk)
    usage = shutil.disk_usage(desk)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=300))
    before = contents(desk)
    done = deepmark(*words.split())

    assert done.code == 1
    assert re.search(r": needs about .*iB, and only 0\.29 KiB are free on the disk of .* Free some space", done.err)
    assert contents(desk) == before
