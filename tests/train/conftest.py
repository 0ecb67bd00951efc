from collections.abc import Iterator

import pytest
from trainings import working_on

from deepmark.workspace.layout import Workspace


@pytest.fixture
def untrained(sharded: Workspace, trained_once: Workspace) -> Iterator[Workspace]:
    """The workspace of `trained_once` before its training; processes that train in it are killed after the test."""
    yield from _as_before(trained_once, sharded)


@pytest.fixture
def untrained_by_two(sharded: Workspace, two_once: Workspace) -> Iterator[Workspace]:
    """The same of `two_once`."""
    yield from _as_before(two_once, sharded)


def _as_before(training: Workspace, sharded: Workspace) -> Iterator[Workspace]:
    (sharded.root / "params.yaml").write_text((training.root / "params.yaml").read_text("utf-8"), "utf-8")
    yield Workspace(sharded.root)
    for process in working_on(sharded):
        process.kill()
