from pathlib import Path

import pytest
from toy_workspace import REPOSITORY, make_workspace

from pipelines.materialize import materialize_all


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A git and DVC repository with the project's own graph and three raw files a split; nothing is made yet."""
    make_workspace(tmp_path, (REPOSITORY / "dvc.yaml").read_text("utf-8"))
    return tmp_path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Such a workspace in which everything was made once, and what was said of it; copy it to change it."""
    workspace, said = tmp_path_factory.mktemp("made"), []
    make_workspace(workspace, (REPOSITORY / "dvc.yaml").read_text("utf-8"))
    materialize_all(workspace, progress=said.append)
    return workspace, said
