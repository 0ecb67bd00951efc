"""The real servers over a toy workspace: what a person does with buttons, done through the same GraphQL."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from toy_workspace import REPOSITORY, processes_in, wait_for

LAUNCH = """
mutation {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "pipelines.definitions", repositoryName: "__repository__", jobName: "train"}
    mode: "default"
  }) { __typename ... on LaunchRunSuccess { run { runId } } }
}
"""
CANCEL = 'mutation { terminateRun(runId: "RUN") { __typename } }'
STATUS = '{ runOrError(runId: "RUN") { ... on Run { status } } }'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def ui(workspace):
    """The running servers and a function that asks Dagster's GraphQL."""
    (workspace / "endless").touch()
    for split in ("train", "validation"):
        (workspace / "data/shards" / split).mkdir(parents=True)
    ports = {"--dagster-port": free_port(), "--mlflow-port": free_port()}
    command = [sys.executable, "-m", "pipelines.ui", "--workspace", str(workspace)]
    command += [word for name, port in ports.items() for word in (name, str(port))]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    lines = [running.stdout.readline() for _ in range(3)]
    assert lines[-1] == "Ctrl-C ends them.\n", lines

    def ask(query: str) -> dict:
        request = urllib.request.Request(
            f"http://127.0.0.1:{ports['--dagster-port']}/graphql",
            json.dumps({"query": query}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["data"]

    yield running, ask
    running.send_signal(signal.SIGINT)
    running.communicate()


@pytest.mark.slow
def test_cancelling_a_run_in_the_ui_ends_every_process_below_it_within_five_seconds(workspace, ui):
    _, ask = ui
    run = ask(LAUNCH)["launchRun"]["run"]["runId"]
    servers = len(processes_in(workspace))
    assert wait_for((workspace / "started").exists, seconds=90)
    assert len(processes_in(workspace)) > servers

    canceled = time.monotonic()
    ask(CANCEL.replace("RUN", run))
    ended = wait_for(lambda: not [p for p in processes_in(workspace) if "commands.py" in p.cmdline()], seconds=5)
    took = time.monotonic() - canceled

    assert ended
    assert took < 5
    status = STATUS.replace("RUN", run)
    assert wait_for(lambda: ask(status)["runOrError"]["status"] == "CANCELED", seconds=30)


@pytest.mark.slow
def test_ctrl_c_ends_the_servers_and_the_runs_they_started(workspace, ui):
    running, ask = ui
    ask(LAUNCH)
    assert wait_for((workspace / "started").exists, seconds=90)

    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)

    assert processes_in(workspace) == []
