"""`deepmark vocabulary`: tables, checks, drawings, and a vocabulary made of a COCO file."""

import json
import re
from pathlib import Path

import PIL.Image
import pytest
from vocabularies import CONTENT, SMALL, random_record

from deepmark.data.coco.writer import write_coco
from deepmark.vocabulary import DEEPFASHION2
from deepmark.vocabulary.plain_form import checked_vocabulary
from deepmark.vocabulary.vocabulary_file import read_vocabulary, vocabulary_yaml


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "own.yaml").write_text(vocabulary_yaml(SMALL), "utf-8")
    return tmp_path / "own.yaml"


def test_the_categories_and_the_landmarks_of_one_are_shown(deepmark, file):
    shown = deepmark("vocabulary", "show", file).out

    assert "accessories: 3 categories, 10 landmarks" in shown
    assert re.search(r"1 bag\s+4\s+2\s+0\.04\s+0\.05\s+yes", shown)
    of_bag = deepmark("vocabulary", "show", file, "--category", "bag").out
    assert [f"{number} {part}" in of_bag for number, part in enumerate(SMALL.categories[0].parts, 1)] == [True] * 4
    assert "Did you mean 'bag'?" in deepmark("vocabulary", "show", file, "--category", "bga").err
    content = json.loads(deepmark("vocabulary", "show", file, "--json").out)
    assert checked_vocabulary(content, lambda _: "shown") == SMALL


def test_a_workspace_shows_its_own_or_the_built_in_one(deepmark, file, tmp_path):
    (tmp_path / "params.yaml").write_text("")
    assert json.loads(deepmark("vocabulary", "show", "--json", "-w", tmp_path).out)["name"] == DEEPFASHION2.name
    file.rename(tmp_path / "vocabulary.yaml")
    assert json.loads(deepmark("vocabulary", "show", "--json", "-w", tmp_path).out)["name"] == "accessories"


def test_outside_of_a_workspace_the_built_in_one_is_shown(deepmark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert json.loads(deepmark("vocabulary", "show", "--json").out)["name"] == DEEPFASHION2.name
    assert "it has no params.yaml" in deepmark("vocabulary", "show", "--workspace", tmp_path / "none").err


def test_a_fault_is_told_with_its_line_and_exit_code_1(deepmark, file):
    assert "10 landmarks, nothing is wrong." in deepmark("vocabulary", "check", file).out
    file.write_text(file.read_text("utf-8").replace("mirror: left handle", "mirror: left bottom"))

    done = deepmark("vocabulary", "check", file)

    assert done.code == 1
    assert re.search(r"own\.yaml, line \d+: categories: 1: landmarks: \d: mirror: .* Give both landmarks", done.err)


def test_what_looks_like_an_oversight_is_told_and_no_fault(deepmark, file):
    content = json.loads(json.dumps(CONTENT))
    for landmark in content["categories"][0]["landmarks"][:2]:
        del landmark["mirror"]
    content["categories"][0]["landmarks"][2]["sigma"] = 0.5
    file.write_text(vocabulary_yaml(checked_vocabulary(content, lambda _: "changed")))

    done = deepmark("vocabulary", "check", file, "--json")

    assert done.code == 0
    assert "landmarks, no fault, and 3 to look at, see above." in deepmark("vocabulary", "check", file).out
    assert json.loads(done.out)["oversights"] == [
        "bag: 'left handle' and 'right handle' are no mirror pair. Give both `mirror`?",
        "bag: the sigma of 'right bottom' is 0.5; usual are 0.005 to 0.15.",
        "bag: 'left bottom' and its mirror 'right bottom' have two sigmas.",
    ]


def test_a_page_and_an_image_are_drawn_and_no_other_file_is_replaced(deepmark, file, tmp_path):
    assert deepmark("vocabulary", "draw", file, "--out", tmp_path / "page.html").code == 0
    assert deepmark("vocabulary", "draw", file, "--out", tmp_path / "sheet.png").code == 0

    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("<svg") == 3
    assert page.count("<circle") == 2 * SMALL.landmarks
    assert "http" not in page
    with PIL.Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] > 1200
    assert deepmark("vocabulary", "draw", file, "--out", tmp_path / "page.html").code == 0
    assert deepmark("vocabulary", "draw", file, "--out", tmp_path / "sheet.png").code == 0
    PIL.Image.new("RGB", (9, 9)).save(tmp_path / "mine.png")
    (tmp_path / "mine.html").write_text("<!doctype html><title>Mine</title>")
    for mine in ("mine.png", "mine.html"):
        refused = deepmark("vocabulary", "draw", file, "--out", tmp_path / mine)
        assert "holds something else than shapes that `deepmark vocabulary draw` drew" in refused.err
    assert "give a page, NAME.html" in deepmark("vocabulary", "draw", file, "--out", tmp_path / "a.pdf").err


def test_names_in_a_page_are_text_and_no_markup(deepmark, file, tmp_path):
    content = json.loads(json.dumps(CONTENT))
    content["name"] = "bags & 'more'"
    file.write_text(vocabulary_yaml(checked_vocabulary(content, lambda _: "changed")))

    deepmark("vocabulary", "draw", file, "--out", tmp_path / "page.html")

    assert "<h1>bags &amp; &#x27;more&#x27;: 3 categories" in (tmp_path / "page.html").read_text("utf-8")


def test_a_vocabulary_is_made_of_a_coco_file_and_says_what_was_guessed(deepmark, tmp_path):
    write_coco(tmp_path / "bags.json", [random_record(SMALL, number) for number in range(40)], SMALL)

    done = deepmark("vocabulary", "from-coco", tmp_path / "bags.json", "--out", tmp_path / "vocabulary.yaml")
    made = read_vocabulary(tmp_path / "vocabulary.yaml")

    assert done.code == 0
    assert "2 mirror pairs were guessed" in done.err
    assert "10 sigmas are the default" in done.err
    assert "Drawn as rectangles, for there are no landmarks to go by: hat." in done.err
    assert (
        (tmp_path / "vocabulary.yaml")
        .read_text()
        .startswith("# Made from bags.json by `deepmark vocabulary from-coco`")
    )
    assert (made.name, [one.parts for one in made.categories]) == ("bags", [one.parts for one in SMALL.categories])
    again = deepmark("vocabulary", "from-coco", tmp_path / "bags.json", "--out", tmp_path / "vocabulary.yaml", "--json")
    assert json.loads(again.out)["sigmas_by_default"] == 10
    edited = (tmp_path / "vocabulary.yaml").read_text().replace("name: bags", "name: my bags")
    (tmp_path / "vocabulary.yaml").write_text(edited)
    refused = deepmark("vocabulary", "from-coco", tmp_path / "bags.json", "--out", tmp_path / "vocabulary.yaml")
    assert "has been edited since it was made, and would be replaced. Name another file." in refused.err
    assert (tmp_path / "vocabulary.yaml").read_text() == edited
    (tmp_path / "vocabulary.yaml").write_text(vocabulary_yaml(made))
    refused = deepmark("vocabulary", "from-coco", tmp_path / "bags.json", "--out", tmp_path / "vocabulary.yaml")
    assert "holds something else than a vocabulary that from-coco made" in refused.err
