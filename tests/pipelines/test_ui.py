"""The real servers on a toy workspace. The tests send the GraphQL that the buttons of the UI send."""

import signal
import time

import pytest
from processes import processes_in, wait_until
from toy_workspace import make_workspace
from ui_server import running
from workspaces import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """A workspace in which a training does not end, and its running servers."""
    workspace = tmp_path_factory.mktemp("ui")
    make_workspace(workspace, (REPOSITORY / "dvc.yaml").read_text("utf-8"))
    (workspace / "endless").touch()
    for split in ("train", "validation"):
        (workspace / "data/shards" / split).mkdir(parents=True)
    with running(workspace) as servers:
        yield workspace, *servers


def train(workspace, dagster):
    """The id of a run that has come to the training itself."""
    (workspace / "started").unlink(missing_ok=True)
    run = dagster.launch("train")
    assert wait_until((workspace / "started").exists, seconds=90)
    return run


def test_cancelling_a_run_in_the_ui_ends_every_process_below_it_within_five_seconds(ui):
    workspace, _, dagster = ui
    servers = len(processes_in(workspace))
    run = train(workspace, dagster)
    assert len(processes_in(workspace)) > servers

    canceled = time.monotonic()
    dagster.cancel(run)
    ended = wait_until(lambda: not processes_in(workspace, word="commands.py"), seconds=5)
    took = time.monotonic() - canceled

    assert ended
    assert took < 5
    assert wait_until(lambda: dagster.status(run) == "CANCELED", seconds=30)


def test_ctrl_c_ends_the_servers_and_the_runs_they_started(ui):
    """The last of this file: the servers are gone then."""
    workspace, servers, dagster = ui
    train(workspace, dagster)

    servers.send_signal(signal.SIGINT)
    servers.communicate(timeout=30)

    assert processes_in(workspace) == []
