from collections.abc import Iterator

import pytest
from trainings import working_on

from deepmark.workspace.layout import Workspace


@pytest.fixture
def untrained(sharded: Workspace, two_once: Workspace) -> Iterator[Workspace]:
    """The workspace of `two_once` before its training; processes that train in it are killed after the test."""
    (sharded.root / "params.yaml").write_text((two_once.root / "params.yaml").read_text("utf-8"), "utf-8")
    yield Workspace(sharded.root)
    for process in working_on(sharded):
        process.kill()
