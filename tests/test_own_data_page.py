"""docs/own_data.md: its vocabulary is read as it stands, and what it says to try works word by word."""

import json
import re
import shlex
from pathlib import Path

import pytest
from vocabularies import SMALL
from workspaces import REPOSITORY, run

from deepmark.data.predictions import read_predictions
from deepmark.runtime.onnx_detector import OnnxDetector
from deepmark.vocabulary.vocabulary_file import read_vocabulary

PAGE = (REPOSITORY / "docs/own_data.md").read_text("utf-8")


def block(heading: str, language: str = "") -> str:
    """The first block of code of a section."""
    section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, heading
    found = re.search(rf"^```{language}\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vocabulary.yaml").write_text(block("vocabulary.yaml", "yaml"), "utf-8")
    return tmp_path


def test_the_vocabulary_of_the_page_is_that_of_the_tests(folder):
    written = read_vocabulary(folder / "vocabulary.yaml")

    assert written == SMALL
    assert [one.drawing for one in written.categories] == [one.drawing for one in SMALL.categories]


@pytest.mark.slow
@pytest.mark.system
def test_what_the_page_says_to_try_works_word_by_word(folder):
    here = folder
    for line in block("Try it before the first label").splitlines():
        command = shlex.split(line)
        if command[0] == "cd":
            here = here / command[1]
            continue
        done = run(*command, cwd=here)
        assert done.code == 0, f"{line}: {done.err}"

    found, _ = read_predictions(here / "data/predictions/flip.parquet")
    assert found.vocabulary == SMALL
    assert OnnxDetector(here / "export/model.onnx").vocabulary == SMALL
    figures = json.loads((here / "metrics/flip.json").read_text())
    assert figures["box"]["AP"] > 0
    page = (here / "report/index.html").read_text("utf-8")
    assert "hat" in page
    assert "short sleeve top" not in page
