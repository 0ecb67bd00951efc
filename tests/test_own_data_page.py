"""docs/own_data.md, word by word: its vocabulary, and the way from fifty labelled images to a served model."""

import json
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from processes import free_port
from studio_export import labelled_photos
from vocabularies import SMALL
from workspaces import REPOSITORY, Done, run

from deepmark.data.predictions import read_predictions
from deepmark.data.records import read_records
from deepmark.runtime.onnx_detector import OnnxDetector
from deepmark.vocabulary.vocabulary_file import read_vocabulary
from deepmark.workspace.environment import child_environment, tool

PAGE = (REPOSITORY / "docs/own_data.md").read_text("utf-8")
WAY = "From fifty labelled images to a served model"


def blocks(heading: str, language: str = "") -> list[str]:
    """The blocks of code of a section."""
    section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, heading
    found = re.findall(rf"^```{language}\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    assert found, heading
    return found


def test_the_vocabulary_of_the_page_is_that_of_the_tests(tmp_path):
    (tmp_path / "vocabulary.yaml").write_text(blocks("vocabulary.yaml", "yaml")[0], "utf-8")
    written = read_vocabulary(tmp_path / "vocabulary.yaml")

    assert written == SMALL
    assert [one.drawing for one in written.categories] == [one.drawing for one in SMALL.categories]


@dataclass
class Followed:
    """What came of the page's commands."""

    workspace: Path
    done: dict[str, Done] = field(default_factory=dict)
    """By the words of each command up to its first option."""

    answer: dict[str, Any] = field(default_factory=dict)
    """Of the server."""


def follow(folder: Path) -> Followed:
    """Run the page's commands in a folder with the vocabulary, the export and the images alone."""
    commands, (request, *_) = blocks(WAY)[0].splitlines(), blocks(WAY)[1].splitlines()
    here, followed = folder, Followed(folder / "shop")
    for line in commands:
        words = shlex.split(line, comments=True)
        if words[0] == "cd":
            here = here / words[1]
        elif words[:2] == ["deepmark", "serve"]:
            followed.answer = asked(here, words, shlex.split(request), folder)
        else:
            done = run(*words, cwd=here)
            assert done.code == 0, f"{line}: {done.err}{done.out}"
            followed.done[" ".join(words[:2])] = done
    return followed


def asked(here: Path, serve: list[str], request: list[str], folder: Path) -> dict[str, Any]:
    """The server's answer to the page's request; it listens at another port, for 8000 may be taken."""
    port = str(free_port())
    command = [tool(serve[0]), *serve[1:], "--port", port]
    words = [word.replace(":8000", f":{port}") for word in request]
    assert words != request
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, cwd=here, env=child_environment(), **quiet) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(f"http://127.0.0.1:{port}: ")
            return json.loads(subprocess.run(words, cwd=folder, capture_output=True, check=True, text=True).stdout)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    folder = tmp_path_factory.mktemp("empty")
    (folder / "vocabulary.yaml").write_text(blocks("vocabulary.yaml", "yaml")[0], "utf-8")
    labelled_photos(folder, SMALL, 50)
    assert {path.name for path in folder.iterdir()} == {"vocabulary.yaml", "export.json", "photos"}
    return follow(folder)


@pytest.mark.slow
@pytest.mark.system
def test_fifty_labelled_images_become_a_served_model(followed):
    assert "`deepmark import` puts images and labels of accessories into" in followed.done["deepmark init"].out
    balance = re.search(
        r"50 images in export\.json = (\d+) train \+ (\d+) validation", followed.done["deepmark import"].err
    )
    assert balance
    train, validation = map(int, balance.groups())
    assert train + validation == 50
    records = [
        list(read_records(followed.workspace / f"data/records/{split}.parquet")) for split in ("train", "validation")
    ]
    assert [len(one) for one in records] == [train, validation]

    assert followed.answer["model"]["strategy"] == "nms"
    (image,) = followed.answer["images"]
    assert image["garments"]
    for garment in image["garments"]:
        assert tuple(garment["landmarks"]) == SMALL.by_name[garment["category"]].parts


@pytest.mark.slow
@pytest.mark.system
def test_everything_that_the_page_leads_to_is_of_its_vocabulary(followed):
    here = followed.workspace
    found, _ = read_predictions(here / "data/predictions/flip.parquet")
    assert found.vocabulary == SMALL
    assert OnnxDetector(here / "export/model.onnx").vocabulary == SMALL
    figures = json.loads((here / "metrics/flip.json").read_text())
    assert figures["box"]["AP"] > 0.1
    page = (here / "report/index.html").read_text("utf-8")
    assert "hat" in page
    assert "short sleeve top" not in page
    assert (here / "found/A101_1.jpg").is_file()


@pytest.mark.slow
@pytest.mark.system
def test_drawn_images_take_the_place_of_the_import(followed, tmp_path):
    """The page's command, with a tenth of its images; what follows it is the same as after the import."""
    line = blocks(WAY)[2].strip()
    words = [{"240": "24", "40": "4"}.get(word, word) for word in shlex.split(line)]
    (tmp_path / "vocabulary.yaml").write_bytes((followed.workspace / "vocabulary.yaml").read_bytes())
    done = run(*words, cwd=tmp_path)

    assert done.code == 0, done.err
    assert len(list((tmp_path / "shop/data/raw/train/image").iterdir())) == 24
