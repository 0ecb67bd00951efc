from collections.abc import Iterator

import pytest
from trainings import train, working_on
from workspaces import copied, set_params

from deepmark.workspace import Workspace


@pytest.fixture(scope="session")
def two_once(sharded_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Trained by two processes without a break, with all that a run may carry from step to step."""
    workspace = copied(sharded_once, tmp_path_factory.mktemp("two"))
    everything = {"ema": 0.9, "evaluate_every": 1, "checkpoint_minutes": 0, "launch": {"nproc_per_node": 2}}
    done = train(set_params(workspace, train=everything))
    assert done.code == 0, done.err
    return workspace


@pytest.fixture
def untrained(sharded: Workspace, two_once: Workspace) -> Iterator[Workspace]:
    """The same before; nothing that trains in it outlives the test."""
    (sharded.root / "params.yaml").write_text((two_once.root / "params.yaml").read_text("utf-8"), "utf-8")
    yield Workspace(sharded.root)
    for process in working_on(sharded):
        process.kill()
