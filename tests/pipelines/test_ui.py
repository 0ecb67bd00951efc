"""The real servers over a toy workspace: what a person does with buttons, done through the same GraphQL."""

import signal
import time

import pytest
from toy_workspace import processes_in, wait_for
from ui_server import running


@pytest.fixture
def ui(workspace):
    """The running servers."""
    (workspace / "endless").touch()
    for split in ("train", "validation"):
        (workspace / "data/shards" / split).mkdir(parents=True)
    with running(workspace) as servers:
        yield servers


@pytest.mark.slow
def test_cancelling_a_run_in_the_ui_ends_every_process_below_it_within_five_seconds(workspace, ui):
    _, dagster = ui
    run = dagster.launch("train")
    servers = len(processes_in(workspace))
    assert wait_for((workspace / "started").exists, seconds=90)
    assert len(processes_in(workspace)) > servers

    canceled = time.monotonic()
    dagster.cancel(run)
    ended = wait_for(lambda: not [p for p in processes_in(workspace) if "commands.py" in p.cmdline()], seconds=5)
    took = time.monotonic() - canceled

    assert ended
    assert took < 5
    assert wait_for(lambda: dagster.status(run) == "CANCELED", seconds=30)


@pytest.mark.slow
def test_ctrl_c_ends_the_servers_and_the_runs_they_started(workspace, ui):
    servers, dagster = ui
    dagster.launch("train")
    assert wait_for((workspace / "started").exists, seconds=90)

    servers.send_signal(signal.SIGINT)
    servers.communicate(timeout=30)

    assert processes_in(workspace) == []
