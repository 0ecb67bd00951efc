"""MLflow's server over a registered model, as a team starts it."""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from processes import free_port

from deepmark.workspace.environment import tool

STARTED_WITHIN = 180
"""Seconds."""


@dataclass(frozen=True)
class ModelServer:
    """A running server, the first of its processes, and its address."""

    pid: int
    url: str


@contextmanager
def served(uri: str, environment: Mapping[str, str]) -> Iterator[ModelServer]:
    """The model `uri` of the store that the environment names, served until the end of the block."""
    port = free_port()
    words = ("-m", uri, "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [tool("mlflow"), "models", "serve", *words]
    process = subprocess.Popen(command, env=dict(environment), start_new_session=True, **quiet)
    try:
        server = ModelServer(process.pid, f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + STARTED_WITHIN
        while not _is_up(server.url):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=5):
            return True
    except OSError:
        return False
