"""Processes that tests wait for and look after, and ports for those that listen."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil


def wait_until(condition: Callable[[], object], *, seconds: float) -> bool:
    """Whether the condition came to hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def processes_in(folder: Path, *, word: str | None = None) -> list[psutil.Process]:
    """Whoever works in the folder, with this word in its command line if one is given."""
    return _living(lambda process: Path(process.cwd()) == folder and (word is None or word in process.cmdline()))


def processes_naming(folder: Path) -> list[psutil.Process]:
    """Whoever has the folder among the words of its command line."""
    return _living(lambda process: str(folder) in process.cmdline())


def _living(condition: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and condition(process):
                found.append(process)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
