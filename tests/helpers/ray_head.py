"""A Ray cluster of one machine, this one, with a token and a folder of its own."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from deepmark.compute.ray_cluster import NODE_SETTINGS

REPOSITORY = Path(__file__).parents[2]
RAY = Path(sys.executable).with_name("ray")
START_SECONDS = 180
"""Of `ray start`; 5 on an idle machine."""


def ray_variables(folder: Path) -> dict[str, str]:
    """The environment of a machine of a cluster whose token lies in the folder."""
    token = folder / "token"
    if not token.exists():
        token.write_text(secrets.token_hex(32))
    search = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests/helpers")])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    own = {
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": search,
        "OMP_NUM_THREADS": "1",
    }
    return kept | NODE_SETTINGS | own


def short_folder() -> Path:
    """A folder with a short path: the names of Ray's sockets in it may have 107 bytes."""
    return Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))


def end_all(processes: list[psutil.Process]) -> None:
    """SIGKILL to the processes and all that they have started."""
    tree = list(processes)
    for process in processes:
        if process.is_running():
            tree += process.children(recursive=True)
    for process in tree:
        if process.is_running():
            process.kill()
    psutil.wait_procs(tree, timeout=10)


@dataclass(frozen=True, kw_only=True)
class Head:
    folder: Path
    address: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a driver."""
        return ray_variables(self.folder) | {"RAY_ADDRESS": self.address}

    def end_gcs(self) -> None:
        """End the process of the head that knows the cluster."""
        for process in psutil.process_iter(["name", "cmdline"]):
            words = process.info["cmdline"] or [""]
            if words[0].endswith("gcs_server") and any(str(self.folder) in word for word in words):
                process.kill()

    def run(self, program: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """A program in Python as a driver of this cluster."""
        words = [sys.executable, "-c", program]
        return subprocess.run(
            words, cwd=cwd, env=self.variables | more, capture_output=True, text=True, timeout=200, check=False
        )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def ray_head(cores: int, *options: str, **variables: str) -> Iterator[Head]:
    """The cluster, for as long as the block runs; skips the test where Ray is not installed."""
    pytest.importorskip("ray", reason="Ray is not installed (the extra `cluster`)", exc_type=ImportError)
    folder, port = short_folder(), _free_port()
    words = ["start", "--head", "--block", f"--port={port}", f"--num-cpus={cores}", f"--temp-dir={folder}"]
    more = ["--node-ip-address=127.0.0.1", "--include-dashboard=false", "--object-store-memory=100000000"]
    log = folder / "start.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, RAY, *words, *more, *options],
            env=ray_variables(folder) | variables,
            stdout=out,
            stderr=out,
        )
    try:
        wait_for_start(log)
        yield Head(folder=folder, address=f"127.0.0.1:{port}")
    finally:
        end_all([psutil.Process(process.pid)])
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_start(log: Path) -> None:
    """Wait until `ray start` says that it runs; raises AssertionError with its log where it does not."""
    end = time.monotonic() + START_SECONDS
    while "Ray runtime started" not in log.read_text("utf-8"):
        assert time.monotonic() < end, log.read_text("utf-8")
        time.sleep(0.2)
