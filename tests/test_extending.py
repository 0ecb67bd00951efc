"""docs/extending.md: every recipe, followed as it stands on a copy of the code, works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workspaces import REPOSITORY

COPIED = ("assets", "deepmark", "pipelines", "dagster.yaml", "dvc.yaml", "params.yaml", "workspace.yaml")


def recipes() -> dict[str, str]:
    """The sections of the page by their headings."""
    page = (REPOSITORY / "docs/extending.md").read_text("utf-8")
    _, *parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}$\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder of its own with all that the diffs may change."""
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes())
def test_a_recipe_works_as_it_stands(name, code):
    (change,), (program,) = blocks(recipes()[name], "diff"), blocks(recipes()[name], "python")
    command = ["git", "apply", "-C1", "-"]
    applied = subprocess.run(command, cwd=code, input=change, capture_output=True, text=True, check=False)
    assert applied.returncode == 0, applied.stderr

    env = os.environ | {"PYTHONPATH": str(code)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=code, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", recipes())
def test_the_files_that_a_recipe_lists_are_those_that_it_changes(name):
    text = recipes()[name]
    listed = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    changed = re.findall(r"^\+\+\+ b/(\S+)$", text, re.MULTILINE)

    assert sorted(listed) == sorted(changed)
