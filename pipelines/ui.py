"""The servers of Dagster and MLflow for one workspace: `python -m pipelines.ui --workspace DIR`."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from assets.dvc.repro import guarded
from deepmark.cli.errors import errors_told
from deepmark.errors import DeepmarkError, redact
from deepmark.tracking.mlflow_store import (
    get_or_create_experiment,
    open_client,
    open_store,
    store_errors,
    tracking_uri,
)
from deepmark.workspace.environment import child_environment
from pipelines.gpu_pool import widen_gpu_pool
from pipelines.instance import dagster_home

HOST = "127.0.0.1"
_START_SECONDS = 120.0
"""How long a server may take to answer; on a slow machine Dagster's three processes take half a minute."""


@dataclass(frozen=True)
class Server:
    """A process with a web page."""

    name: str
    port: int
    command: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def serve(workspace: Path, *, dagster_port: int = 3000, mlflow_port: int = 5000) -> None:
    """Start the servers, print their addresses, and keep them running until Ctrl-C, which ends all their processes.

    MLflow's is not started where MLFLOW_TRACKING_URI names a server that runs elsewhere.

    Raises DeepmarkError where a port is in use or a server ends by itself.
    """
    workspace = workspace.resolve()
    home = dagster_home(workspace)
    widen_gpu_pool(workspace)
    with store_errors(tracking_uri(workspace)):
        store = open_store(workspace)
    servers = [Server("Dagster", dagster_port, _dagster(dagster_port))]
    if not store.startswith("http"):
        servers.append(Server("MLflow", mlflow_port, _mlflow(workspace, mlflow_port)))
    for server in servers:
        if _answers(server.port):
            raise DeepmarkError(f"{server.name}: port {server.port} is in use. Stop what uses it, or see --help.")
    running: dict[Server, subprocess.Popen[bytes]] = {}
    try:
        for server in servers:
            running[server] = _start(server, workspace, home, store)
        _await(running, home)
        for line in _where_to_look(workspace, {server.name: server.url for server in servers}, store):
            print(line)
        print("Ctrl-C ends them.", flush=True)
        while True:
            _check(running, home)
            time.sleep(0.5)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.communicate()


def _where_to_look(workspace: Path, addresses: Mapping[str, str], store: str) -> Iterator[str]:
    """The pages to begin with: the graph of the assets, and the experiment that holds all runs."""
    yield f"Dagster  {addresses['Dagster']}/asset-groups"
    mlflow = addresses.get("MLflow", redact(store.rstrip("/")))
    try:
        with store_errors(store):
            yield f"MLflow   {mlflow}/#/experiments/{get_or_create_experiment(open_client(workspace), workspace)}/runs"
    except DeepmarkError as error:  # such as an experiment that was deleted, which this page brings back
        yield f"MLflow   {mlflow}\n{error}"


def _dagster(port: int) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "dagster", "dev", "--module-name", "pipelines.definitions"),
        *("--host", HOST, "--port", str(port), "--log-level", "warning"),
        "--use-legacy-code-server-behavior",  # the new behaviour does not start a killed code server again
    )


def _mlflow(workspace: Path, port: int) -> tuple[str, ...]:
    """Without the store, whose URI may hold a password: everyone on this machine can list the words of a command."""
    return (
        *(sys.executable, "-m", "mlflow", "server"),
        *("--default-artifact-root", (workspace / "mlartifacts").as_uri()),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
    )


def _log(server: Server, home: Path) -> Path:
    return home / f"{server.name.lower()}.log"


def _start(server: Server, workspace: Path, home: Path, store: str) -> subprocess.Popen[bytes]:
    """Start a server below a guard, because both leave child processes behind when they are told to end."""
    env = {
        **child_environment(),
        "DAGSTER_HOME": str(home),
        "DEEPMARK_WORKSPACE": str(workspace),
        "MLFLOW_BACKEND_STORE_URI": store,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its five processes for evaluating language models
    }
    with _log(server, home).open("wb") as log:
        return subprocess.Popen(
            guarded(server.command),
            cwd=workspace,
            env=env,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _check(running: Mapping[Server, subprocess.Popen[bytes]], home: Path) -> None:
    for server, process in running.items():
        if process.poll() is not None:
            raise DeepmarkError(f"{server.name} has ended by itself; {_log(server, home)} says why.")


def _await(running: Mapping[Server, subprocess.Popen[bytes]], home: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    for server in running:
        while not _answers(server.port):
            _check(running, home)
            if time.monotonic() > deadline:
                raise DeepmarkError(f"{server.name} does not answer at {server.url}; see {_log(server, home)}.")
            time.sleep(0.2)


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        connection.settimeout(1.0)
        return connection.connect_ex((HOST, port)) == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path(os.environ.get("DEEPMARK_WORKSPACE", ".")))
    parser.add_argument("--dagster-port", type=int, default=3000)
    parser.add_argument("--mlflow-port", type=int, default=5000)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with errors_told("pipelines.ui"):
        try:
            serve(arguments.workspace, dagster_port=arguments.dagster_port, mlflow_port=arguments.mlflow_port)
        except KeyboardInterrupt:
            print("Dagster and MLflow have ended.")


if __name__ == "__main__":
    main()
