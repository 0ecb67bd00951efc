"""`deepmark detect` as people use it: what may be named, and the files that come out. The model finds what is white."""

import csv
import json
import re
import shutil
import threading
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools.coco import COCO
from white_images import standard_input, white
from workspaces import set_params

from deepmark.infer import detect_files as room
from deepmark.infer import detection_files
from deepmark.video.write_video import VideoWriter
from deepmark.workspace.layout import Workspace

TOP, TROUSERS = "short sleeve top", "trousers"
SCORES = {TOP: 0.8, TROUSERS: 0.5}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def found(garments):
    return {one["category"]: pytest.approx(one["score"], abs=1e-5) for one in garments}


def test_a_model_file_of_onnx_is_used(detect):
    done = detect("in/a.png", "--json")

    assert (done.code, done.err) == (0, "")
    assert list(done.facts) == ["in/a.png"]
    assert found(done.facts["in/a.png"]) == SCORES


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["in"], ["in/a.png", "in/b.jpg"]),
        (["in", "--recursive"], ["in/a.png", "in/b.jpg", "in/deep/c.png"]),
        (["in/*.png"], ["in/a.png"]),
        (["**/*.png"], ["in/a.png", "in/deep/c.png"]),
        (["in/deep/c.png", "in/[ab].*"], ["in/deep/c.png", "in/a.png", "in/b.jpg"]),
    ],
)
def test_folders_and_patterns_are_read(detect, words, names):
    assert list(detect(*words, "--json").facts) == names


def test_hidden_and_linked_folders_are_not_read(detect, tmp_path):
    white(tmp_path / "in/.trash/d.png")
    (tmp_path / "in/again").symlink_to("deep")
    done = detect("in", "-r", "--json")

    assert list(done.facts) == ["in/a.png", "in/b.jpg", "in/deep/c.png"]
    assert "in: skipped .trash (a folder), again (a folder)." in done.err


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(detect, tmp_path):
    white(tmp_path / "[ab]*.png")

    assert list(detect("[ab]*.png", "--json").facts) == ["[ab]*.png"]


def test_an_image_from_standard_input(detect, tmp_path, monkeypatch):
    standard_input(monkeypatch, (tmp_path / "in/a.png").read_bytes())
    done = detect("-", "--json", "--draw", "drawn")

    assert found(done.facts["standard input"]) == SCORES
    assert names_in(tmp_path / "drawn") == ["standard-input.jpg"]


def test_an_image_behind_a_url(detect, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *words: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/in/a.png?size=large"
        done = detect(url, "in/a.png", "--json", "--draw", "drawn")
        server.shutdown()

    assert [found(garments) for garments in done.facts.values()] == [SCORES, SCORES]
    assert list(done.facts) == [url, "in/a.png"]
    assert names_in(tmp_path / "drawn") == ["a-2.jpg", "a.jpg"]


def test_a_summary_says_how_many_and_how_quickly(detect):
    last = detect("in", "-r", "--batch", 2).err.splitlines()[-1]

    assert re.fullmatch(r"deepmark detect: 3 images, 6 garments, [\d.,]+ images a second\.", last)


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_batches_change_nothing_but_the_speed(detect, batch):
    assert detect("in", "-r", "--json", "--batch", batch).facts == detect("in", "-r", "--json").facts


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--category", TROUSERS], [TROUSERS]),
        (["--category", "Short_Sleeve-top", "--category", "skirt"], [TOP]),
        (["--min-score", 0.6], [TOP]),
        (["--category", "skirt"], []),
    ],
)
def test_garments_are_chosen_by_category_and_score(detect, options, kept):
    garments = detect("in/a.png", "--json", *options).facts["in/a.png"]

    assert [one["category"] for one in garments] == kept


def test_agnostic_nms_keeps_one_garment_at_a_place(detect):
    without = detect("in/a.png", "--json", "--strategy", "none").facts["in/a.png"]
    alone = detect("in/a.png", "--json", "--strategy", "none", "--agnostic-nms").facts["in/a.png"]

    assert [one["category"] for one in without] == [TOP, TOP, TROUSERS]  # the first two overlap
    assert [one["category"] for one in alone] == [TOP, TROUSERS]


def test_json_lines(detect, tmp_path):
    assert detect("in", "--out", "found.jsonl").code == 0
    first, second = map(json.loads, (tmp_path / "found.jsonl").read_text("utf-8").splitlines())

    assert (first["image"], first["width"], first["height"]) == ("in/a.png", 64, 32)
    assert second["image"] == "in/b.jpg"
    assert found(first["garments"]) == SCORES


def test_a_table_of_garments(detect, tmp_path):
    garments = detect("in", "--out", "found.csv", "--json").facts["in/a.png"]
    with (tmp_path / "found.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [(row["image"], row["garment"], row["category"]) for row in rows[:2]] == [
        ("in/a.png", "1", TOP),
        ("in/a.png", "2", TROUSERS),
    ]
    assert [float(rows[1][side]) for side in ("x0", "y0", "x1", "y1")] == garments[1]["box"]
    assert json.loads(rows[1]["landmarks"]) == garments[1]["landmarks"]


def test_parquet_holds_the_same_and_landmarks_as_lists(detect, tmp_path):
    garments = detect("in", "--out", "found.parquet", "--json").facts["in/a.png"]
    rows = pq.read_table(tmp_path / "found.parquet").to_pylist()

    assert [row["image"] for row in rows] == ["in/a.png", "in/a.png", "in/b.jpg", "in/b.jpg"]
    assert (rows[0]["category"], rows[0]["score"]) == (TOP, garments[0]["score"])
    points = {one["name"]: [one["x"], one["y"], one["score"]] for one in rows[0]["landmarks"]}
    assert points == garments[0]["landmarks"]


def test_coco_is_a_data_set_that_pycocotools_reads(detect, tmp_path):
    detect("in", "--out", "found.coco.json")
    coco = COCO(tmp_path / "found.coco.json")

    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["in/a.png", "in/b.jpg"]
    first = coco.loadAnns(coco.getAnnIds(imgIds=1))
    assert [(one["category_id"], round(one["score"], 5)) for one in first] == [(1, 0.8), (8, 0.5)]
    assert coco.loadCats(8)[0]["name"] == "trousers"
    assert first[0]["bbox"] == [4.0, 4.0, 16.0, 24.0]
    assert first[0]["num_keypoints"] == 25


ENDINGS = [one.ending for one in detection_files.FORMATS]


@pytest.mark.parametrize("least", [0.3, 1.0], ids=["garments", "nothing"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_file_replaces_its_own_kind(detect, ending, least):
    for _ in range(2):
        assert detect("in", "-r", "--out", f"found{ending}", "--min-score", least).code == 0


def test_a_json_file_of_any_length_without_garments_is_known():
    (known,) = [one for one in detection_files.FORMATS if one.ending == ".json"]
    content = json.dumps({f"in/{number} [{{x}}].png": [] for number in range(300)}, indent=2).encode()

    assert all(re.match(known.start, content[:end]) for end in range(content.index(b"{") + 1, len(content) + 1))


@pytest.mark.parametrize("ending", ENDINGS)
def test_where_no_image_can_be_read_an_earlier_file_stays(detect, tmp_path, ending):
    detect("in", "--out", f"found{ending}")
    before = (tmp_path / f"found{ending}").read_bytes()
    (tmp_path / "text.png").write_text("text")
    for name in (f"found{ending}", f"new{ending}"):
        done = detect("text.png", "--out", name)

        assert done.code == 1
        assert done.err.splitlines()[-1] == f"deepmark detect: {name}: not written, because no image could be read."
    assert (tmp_path / f"found{ending}").read_bytes() == before
    assert not (tmp_path / f"new{ending}").exists()


def test_crops_are_named_by_image_number_and_category(detect, tmp_path):
    done = detect("in", "--crops", "crops")

    assert done.code == 0
    assert names_in(tmp_path / "crops") == [
        *("a-01-short-sleeve-top.jpg", "a-02-trousers.jpg"),
        *("b-01-short-sleeve-top.jpg", "b-02-trousers.jpg"),
    ]
    with Image.open(tmp_path / "crops/a-01-short-sleeve-top.jpg") as crop:
        assert crop.size == (16, 24)


def test_crops_of_an_earlier_run_are_replaced_and_nothing_else(detect, tmp_path):
    detect("in", "--crops", "crops")
    (tmp_path / "crops/a-notes.txt").write_text("mine")
    assert detect("in/a.png", "--crops", "crops", "--category", TROUSERS).code == 0

    assert names_in(tmp_path / "crops") == [
        *("a-01-trousers.jpg", "a-notes.txt", "b-01-short-sleeve-top.jpg", "b-02-trousers.jpg"),
    ]


def test_a_drawing_has_a_legend_below_the_image(detect, tmp_path):
    white(tmp_path / "large.png", (640, 480))
    detect("large.png", "--draw", "drawn")

    with Image.open(tmp_path / "drawn/large.jpg") as drawing:
        assert drawing.width == 640
        assert 490 < drawing.height < 600


@pytest.mark.parametrize(
    ("name", "told"), [("found.jsonl", "has a line for each of them"), ("found.json", "was not written")]
)
def test_ctrl_c_says_what_was_written(detect, tmp_path, monkeypatch, name, told):
    written = []

    def save(*what):
        if written:
            raise KeyboardInterrupt
        written.append(what)

    monkeypatch.setattr(room, "_save_images", save)
    done = detect("in", "-r", "--out", name)

    assert done.code == 130
    assert done.err.splitlines()[-1] == f"deepmark detect: interrupted after 1 of 3 images; {name} {told}."
    lines = (tmp_path / name).read_text("utf-8").splitlines() if (tmp_path / name).exists() else []
    assert [json.loads(line)["image"] for line in lines] == (["in/a.png"] if name.endswith("l") else [])
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_model_that_has_seen_drawings_only_says_so(deepmark, sharded_once, model, tmp_path):
    own = tmp_path / "workspace"
    shutil.copytree(sharded_once.root, own, symlinks=True, ignore=shutil.ignore_patterns(".dvc", ".git", "shards"))
    (own / "export").mkdir()
    shutil.copy(model, own / "export/model.onnx")
    image = white(tmp_path / "a.png")
    told = "deepmark detect: this model was trained on drawn images only"

    assert deepmark("detect", image, "--model", own / "export/model.onnx").err.startswith(told)
    assert told not in deepmark("detect", image, "--model", model).err
    done = deepmark("detect", image, "--model", own)
    assert (done.code, done.out) == (0, f"{image}: {TOP} 0.80, {TROUSERS} 0.50\n")
    assert done.err.startswith(told)

    (own / "data/raw").rename(own / "drawn")
    set_params(Workspace(own), data={"raw": "drawn"})
    assert deepmark("detect", image, "--model", own).err.startswith(told)


def test_a_video_gives_a_line_a_frame_and_a_drawn_video(detect, tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", rate=Fraction(10)) as video:
        for number in range(4):
            video.write(np.full((480, 640, 3), 255, np.uint8), number / 10)
    done = detect("clip.mp4", "--out", "found.jsonl", "--draw", "drawn", "--json")

    assert done.code == 0, done.err
    assert (done.facts["frames"], done.facts["garments"]) == (4, 2)
    lines = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text("utf-8").splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2, 3]
    assert {one["category"] for one in lines[-1]["garments"]} == {TOP, TROUSERS}
    assert names_in(tmp_path / "drawn") == ["clip.mp4"]

    assert detect("clip.mp4", "--draw", "named.mp4").code == 0
    assert (tmp_path / "named.mp4").stat().st_size > 0
    again = detect("clip.mp4", "--draw", "named.mp4")
    assert (again.code, again.err) == (
        1,
        "deepmark detect: --draw named.mp4: is there already. Remove it, or name another place.\n",
    )
