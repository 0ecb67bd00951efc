"""`deepmark serve` as a process of its own, as people start it."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from deepmark.workspace.environment import child_environment, tool


@dataclass(frozen=True)
class ServeProcess:
    """A server that has said its address."""

    process: subprocess.Popen
    url: str


@contextmanager
def serve_process(*words: object, environment: Mapping[str, str] | None = None) -> Iterator[ServeProcess]:
    """A server at a free port; what still runs at the end of the block is killed."""
    command = [tool("deepmark"), "serve", "--port", "0", "--json", *map(str, words)]
    process = subprocess.Popen(
        command,
        env=child_environment() | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield ServeProcess(process, json.loads(process.stdout.readline())["url"])
    finally:
        process.kill()
        process.communicate()
