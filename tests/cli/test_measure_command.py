"""`deepmark measure`: lines, CSV, JSON and drawings of the garments in images, and one message for a mistake."""

import csv
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from deepmark.infer.load_detector import load_detector
from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained network, which detects something everywhere."""
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_detector(build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1), file)
    return file


@pytest.fixture
def photo(tmp_path):
    """Noise with an ArUco marker of 60 pixels."""
    pixels = np.random.default_rng(1).integers(0, 256, (160, 120, 3), np.uint8)
    marker = cv2.aruco.generateImageMarker(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50), 3, 60)
    pixels[10:90, 10:90] = 255
    pixels[20:80, 20:80] = marker[:, :, None]
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def table(tmp_path):
    """One measurement for each category."""
    names = ", ".join(category.name for category in DEEPFASHION2.categories)
    (tmp_path / "table.yaml").write_text(f"{names}:\n  mine: {{straight: [1, 3]}}\n")
    return tmp_path / "table.yaml"


@pytest.fixture
def measure(deepmark, model, photo):
    """The command on the photo, where it finds a few garments."""
    least = float(load_detector(model, min_score=0)(photo).scores[2])
    return lambda *options: deepmark("measure", photo, "--model", model, "--min-score", least, *options)


def test_every_garment_has_its_measurements_in_all_forms(measure, photo, table, tmp_path):
    lines = measure("--table", table, "--out", tmp_path / "m.csv", "--draw", tmp_path / "drawn")
    printed = measure("--table", table, "--out", tmp_path / "m.json", "--json")

    assert (lines.code, printed.code) == (0, 0)
    rows = list(csv.DictReader((tmp_path / "m.csv").read_text("utf-8").splitlines()))
    garments = json.loads((tmp_path / "m.json").read_text("utf-8"))[str(photo)]["garments"]
    assert printed.facts["images"][str(photo)]["garments"] == garments
    assert 1 <= len(garments) <= 3
    assert len(rows) == sum(len(garment["measurements"]) for garment in garments)
    first, length = rows[0], garments[0]["measurements"][rows[0]["measurement"]]
    assert (first["image"], first["garment"], first["unit"]) == (str(photo), "1", "px")
    assert float(first["value"]) == length["value"]
    assert float(first["low"]) <= float(first["value"]) <= float(first["high"])
    assert f"{photo}: {first['category']} {float(first['score']):.2f}" in lines.out
    assert f"  {first['measurement']:26}{length['value']:8.1f} px" in lines.out
    with Image.open(tmp_path / "drawn/photo.png") as drawn:
        assert drawn.width > drawn.height * 120 / 160


def test_a_table_of_ones_own_says_what_is_measured(measure, table):
    for found in measure("--table", table, "--json").facts["images"].values():
        assert {name for garment in found["garments"] for name in garment["measurements"]} == {"mine"}


def test_a_marker_and_a_number_give_the_same_centimetres(measure):
    (marker,) = measure("--marker-cm", 5, "--json").facts["images"].values()
    (number,) = measure("--pixels-per-cm", 12, "--json").facts["images"].values()
    (known,) = measure("--scale", "0,0,0,120=10cm", "--json").facts["images"].values()

    assert "1 ArUco marker of 5 cm" in marker["scale"]
    for a, b, c in zip(marker["garments"], number["garments"], known["garments"], strict=True):
        for name, length in b["measurements"].items():
            assert length["unit"] == "cm"
            assert a["measurements"][name]["value"] == pytest.approx(length["value"], rel=0.03)
            assert c["measurements"][name]["value"] == pytest.approx(length["value"])


def test_the_precision_is_that_of_the_table_that_is_given(measure, tmp_path):
    rows = [
        f"{one.name},{number + 1},x,9,1e-9,1e-9" for one in DEEPFASHION2.categories for number in range(one.landmarks)
    ]
    table = tmp_path / "landmarks.csv"
    table.write_text("category,landmark,part,labelled,error_mean,error_median\n" + "\n".join(rows) + "\n")

    exact = measure("--precision", table, "--json").facts

    assert str(table) in exact["precision"]
    for found in exact["images"].values():
        for garment in found["garments"]:
            assert garment["category"] in DEEPFASHION2.by_name
            assert all(one["high"] - one["low"] < 1e-3 for one in garment["measurements"].values())
    assert "OKS" in measure("--json").facts["precision"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--marker-cm", 5, "--pixels-per-cm", 4], "--marker-cm and --pixels-per-cm: each gives the scale. Give one"),
        (["--pixels-per-cm", 0], "--pixels-per-cm 0: give a number above 0"),
        (["--scale", "1,2,3=4cm"], "--scale 1,2,3=4cm: expected two points in pixels and their distance"),
        (["--marker-cm", 5, "--dictionary", "9X9"], "--dictionary 9X9: OpenCV has no such markers"),
        (["--out", "m.txt"], "--out m.txt: measurements are written as .csv or .json. Name such a file"),
        (["--table", "none.yaml"], "none.yaml"),
        (["--precision", "none.csv"], "none.csv"),
    ],
)
def test_a_mistake_is_one_message_before_any_image_is_read(measure, options, told):
    done = measure(*options)

    assert done.code == 1
    assert told in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_an_image_without_a_marker_is_told_and_the_others_go_on(deepmark, model, photo, tmp_path):
    Image.new("RGB", (80, 80)).save(tmp_path / "black.png")

    done = deepmark("measure", tmp_path / "black.png", photo, "--model", model, "--marker-cm", 5, "--min-score", 0.1)

    assert done.code == 1
    assert "black.png: no ArUco marker of the dictionary 4X4_50 is found" in done.err
    assert f"{photo}: " in done.out


def test_drawings_replace_earlier_ones_and_nothing_else(measure, photo, table, tmp_path):
    for _ in range(2):
        assert measure("--table", table, "--draw", tmp_path / "drawn").code == 0
    Image.new("RGB", (4, 4)).save(tmp_path / "drawn/photo.png")

    for folder, told in ((tmp_path / "drawn", "holds something else than drawings"), (tmp_path, "is also an input")):
        done = measure("--table", table, "--draw", folder)
        assert done.code == 1
        assert told in done.err


@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_a_file_replaces_its_own_kind_and_not_where_no_image_could_be_measured(
    measure, deepmark, model, tmp_path, ending
):
    out = tmp_path / f"m{ending}"
    for _ in range(2):
        assert measure("--out", out).code == 0
    before = out.read_bytes()
    (tmp_path / "text.png").write_text("text")
    done = deepmark("measure", tmp_path / "text.png", "--model", model, "--out", out)

    assert done.code == 1
    assert done.err.splitlines()[-1] == f"deepmark measure: {out}: not written, because no image could be measured."
    assert out.read_bytes() == before


def test_a_file_of_something_else_is_not_replaced(measure, tmp_path):
    (tmp_path / "notes.csv").write_text("my,notes\n")

    done = measure("--out", tmp_path / "notes.csv")

    assert done.code == 1
    assert "holds something else than measurements" in done.err
    assert (tmp_path / "notes.csv").read_text() == "my,notes\n"
