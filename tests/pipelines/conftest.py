import shutil
from pathlib import Path
from typing import Any

import pytest
from toy_workspace import make_workspace
from workspaces import REPOSITORY, made_once

from assets.dvc import dvc_internals
from pipelines.materialize import materialize_all


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A git and DVC repository with the project's own graph and three raw files a split; nothing is made yet."""
    make_workspace(tmp_path, (REPOSITORY / "dvc.yaml").read_text("utf-8"))
    return tmp_path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every dvc.yaml that is read for its graph, in order."""
    files, load_stages = [], dvc_internals.load_stages

    def load(file: Path) -> dict[str, Any]:
        files.append(file)
        return load_stages(file)

    monkeypatch.setattr(dvc_internals, "load_stages", load)
    return files


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Such a workspace in which everything was made once, and what was said of it."""

    def make(folder: Path) -> None:
        said: list[str] = []
        make_workspace(folder, (REPOSITORY / "dvc.yaml").read_text("utf-8"))
        materialize_all(folder, progress=said.append)
        folder.with_name("made.said").write_text("\n".join(said), "utf-8")
        shutil.copytree(folder, folder.with_name("made.copy"), symlinks=True)

    folder = made_once(tmp_path_factory, "made", make)
    return folder, folder.with_name("made.said").read_text("utf-8").splitlines()


@pytest.fixture(scope="session")
def made_copy(made: tuple[Path, list[str]]) -> Path:
    """A copy of it as it was then, whatever tests do with the other meanwhile; copy it to change it."""
    return made[0].with_name("made.copy")
