from collections.abc import Iterator

import pytest
from trainings import working_on

from deepmark.workspace.layout import Workspace


@pytest.fixture
def untrained(sharded: Workspace, two_once: Workspace) -> Iterator[Workspace]:
    """What two processes are to learn as in `two_once`; nothing that trains in it outlives the test."""
    (sharded.root / "params.yaml").write_text((two_once.root / "params.yaml").read_text("utf-8"), "utf-8")
    yield Workspace(sharded.root)
    for process in working_on(sharded):
        process.kill()
