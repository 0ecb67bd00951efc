"""`deepmark detect`: images of any kind in, JSON and drawn images out."""

import json
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from workspaces import REPOSITORY, copied, set_params

from deepmark.images import MAX_PIXELS
from deepmark.infer.find_images import find_images
from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """An untrained network, which detects something everywhere."""
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_detector(build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1), file)
    return file


def picture(path, *, size=(60, 40), seed=0, exif=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **({"exif": exif} if exif else {}))
    return path


def claim_size(png, width, height):
    """Change the header of a PNG file, and its checksum."""
    data = bytearray(png.read_bytes())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    png.write_bytes(data)


def test_files_and_folders_are_searched_by_name_and_in_order(tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).touch()
    (tmp_path / "photo").touch()

    assert find_images([tmp_path / "photo", tmp_path / "folder"]) == [
        tmp_path / "photo",
        tmp_path / "folder/a.jpg",
        tmp_path / "folder/b.PNG",
    ]


def test_a_model_is_used_as_its_workspace_says_and_a_copy_as_it_said_at_the_training(deepmark, trained_once, tmp_path):
    workspace = copied(trained_once, tmp_path / "own")
    shutil.copy(workspace.model_file, tmp_path / "copy.safetensors")
    image = next((workspace.raw / "validation/image").iterdir())

    def garments(model):
        (found,) = deepmark("detect", image, "--model", model, "--min-score", 0, "--json").facts.values()
        return found

    many = garments(workspace.model_file)
    set_params(workspace, predict={"max_detections": 1})

    assert len(many) > 1
    assert garments(workspace.model_file) == many[:1]
    assert garments(tmp_path / "copy.safetensors") == many


def test_what_is_no_image_in_a_folder_is_skipped_with_one_line(tmp_path):
    folder = tmp_path / "photographs"
    for name in ("a.jpg", "._a.jpg", ".b.png", ".hidden", "notes.txt"):
        picture(folder / name) if name == "a.jpg" else (folder / name).touch()
    (folder / "broken.png").symlink_to("nowhere.png")
    (folder / "link.png").symlink_to("a.jpg")
    (folder / "x.png").mkdir()
    (folder / "2019").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    notes = []

    assert find_images([folder], note=notes.append) == [folder / "a.jpg", folder / "link.png"]
    hidden, rest = "._a.jpg (hidden), .b.png (hidden)", "pipe.jpg (not a file) and 1 more"
    assert notes == [f"{folder}: skipped {hidden}, 2019 (a folder), broken.png (a broken link), {rest}"]


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    image, folder = picture(tmp_path / "in/a.png"), tmp_path / "in"
    (tmp_path / "again").symlink_to("in")
    notes = []

    assert find_images([image, folder, tmp_path / "again", image], note=notes.append) == [image]
    assert notes == [f"named twice, and read once: {image}, {tmp_path / 'again/a.png'}, {image}"]


def test_of_many_the_first_five_are_told(tmp_path):
    picture(tmp_path / "a.png")
    for number in range(7):
        (tmp_path / f".{number}.png").touch()
    notes = []
    find_images([tmp_path], note=notes.append)

    assert notes[0].endswith(".4.png (hidden) and 2 more")


def test_detections_on_standard_output_are_json_and_nothing_else(deepmark, model, tmp_path):
    image = picture(tmp_path / "a.png")
    done = deepmark("detect", image, "--model", model, "--min-score", 0, "--json")

    assert done.code == 0
    assert list(done.facts) == [str(image)]
    (garments,) = done.facts.values()
    assert garments
    x0, y0, x1, y1 = garments[0]["box"]
    assert 0 <= x0 <= x1 <= 60
    assert 0 <= y0 <= y1 <= 40


@pytest.mark.slow
def test_detections_are_written_to_a_file_and_drawn(deepmark, model, tmp_path):
    picture(tmp_path / "in/a.png")
    picture(tmp_path / "in/b.jpg", seed=1)
    out, drawn = tmp_path / "out/found.json", tmp_path / "drawn"
    done = deepmark(
        *("detect", tmp_path / "in", "--model", model, "--min-score", 0, "--out", out, "--draw", drawn),
    )

    assert done.code == 0
    assert done.out.startswith(f"{tmp_path}/in/a.png: ")
    assert list(json.loads(out.read_text("utf-8"))) == [str(tmp_path / "in" / name) for name in ("a.png", "b.jpg")]
    assert sorted(file.name for file in drawn.iterdir()) == ["a.jpg", "b.jpg"]
    with Image.open(drawn / "a.jpg") as image, Image.open(tmp_path / "in/a.png") as before:
        assert image.size[0] % 60 == 0
        assert np.any(np.asarray(image.resize(before.size)) != np.asarray(before))


def test_without_json_a_line_a_picture_says_what_is_there(deepmark, model, tmp_path):
    image = picture(tmp_path / "a.png")

    assert deepmark("detect", image, "--model", model, "--min-score", 1).out == f"{image}: nothing found\n"
    assert deepmark("detect", image, "--model", model, "--min-score", 0).out.startswith(f"{image}: ")


def test_pictures_of_the_same_name_do_not_overwrite_each_other(deepmark, model, tmp_path):
    for seed, name in enumerate(("one/a.png", "two/a.png", "two/a.jpg", "two/a-2.png")):
        picture(tmp_path / name, seed=seed)
    drawn = tmp_path / "drawn"
    done = deepmark("detect", tmp_path / "one", tmp_path / "two", "--model", model, "--draw", drawn)

    assert done.code == 0
    assert sorted(file.name for file in drawn.iterdir()) == ["a-2.jpg", "a-3.jpg", "a-4.jpg", "a.jpg"]
    assert done.err.splitlines()[:-1] == [
        f"deepmark detect: {tmp_path}/two/a.jpg: drawn as a-3.jpg, because another has the name a.jpg.",
        f"deepmark detect: {tmp_path}/two/a.png: drawn as a-4.jpg, because another has the name a.jpg.",
    ]


def test_a_folder_of_a_person_is_read_and_what_is_left_out_is_told(deepmark, model, tmp_path):
    good = picture(tmp_path / "good.jpg")
    (tmp_path / "._good.jpg").write_bytes(b"\0\5\x16\7")
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    done = deepmark("detect", tmp_path, "--model", model, "--json")

    assert done.code == 0
    assert list(done.facts) == [str(good), str(tmp_path / "moving.gif")]
    assert done.err.splitlines()[:-1] == [
        f"deepmark detect: {tmp_path}: skipped ._good.jpg (hidden).",
        f"deepmark detect: {tmp_path}/moving.gif: it has several frames or pages, and the first one is used.",
    ]


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(deepmark, model, tmp_path):
    good = picture(tmp_path / "good.jpg")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:700])
    claim_size(picture(tmp_path / "large.png"), 5000, MAX_PIXELS // 5000 + 1)
    claim_size(picture(tmp_path / "larger.png"), 10_000, 10_000)
    claim_size(picture(tmp_path / "largest.png"), 2**31 - 1, 2**31 - 1)
    done = deepmark("detect", tmp_path, "--model", model, "--min-score", 0, "--json")

    assert done.code == 1
    assert list(done.facts) == [str(good)]
    assert [line.split(":")[1].strip() for line in done.err.splitlines()] == [
        str(tmp_path / name) for name in ("cut.jpg", "empty.jpg", "large.png", "larger.png", "largest.png", "text.jpg")
    ]
    for message in (
        "cut.jpg: a JPEG that is cut off. Copy or save it again.",
        "empty.jpg: an empty file, not a JPEG, PNG, ",
        "large.png: 5000 x 10001 pixels are too many, for 50 megapixels are allowed",
        "larger.png: 10000 x 10000 pixels are too many",
        "largest.png: too many pixels: 4,611,686,014,132 megapixels, where 50 megapixels are allowed",
        "text.jpg: text, not a JPEG, PNG, ",
    ):
        assert f"deepmark detect: {tmp_path}/{message}" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [(["nowhere.jpg"], "nowhere.jpg: no such image or folder"), (["void"], "void: no images in it (.avif, .bmp")],
)
def test_pictures_that_are_not_there_are_named(deepmark, model, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "void").mkdir()
    done = deepmark("detect", *words, "--model", model)

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"deepmark detect: {message}")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("nothing.safetensors", "no such file. `deepmark train` makes a model"),
        ("README.md", "damaged, or not a safetensors file"),
    ],
)
def test_a_model_file_that_is_none_is_named(deepmark, tmp_path, file, message):
    done = deepmark("detect", picture(tmp_path / "a.png"), "--model", REPOSITORY / file)

    assert (done.code, done.out) == (1, "")
    assert f"{REPOSITORY / file}: {message}" in done.err
    assert "Traceback" not in done.err
