from pathlib import Path

import pytest
from toy_workspace import REPOSITORY, make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A git and DVC repository with the project's own graph and three raw files a split; nothing is made yet."""
    make_workspace(tmp_path, (REPOSITORY / "dvc.yaml").read_text("utf-8"))
    return tmp_path
