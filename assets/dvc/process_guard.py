"""Runs a command, and leaves none of its processes behind: `python -m assets.dvc.process_guard COMMAND…`

`dvc repro` ignores an interrupt while its command runs, dies of SIGTERM without ending that command, and the ranks of
a training have sessions of their own, which signals to a process group do not reach. So the guard ends every process
below it when it is told to stop, and when the process that started it is gone, which closes the guard's stdin.
It opens a Dagster Pipes session, because Dagster warns of a session that no process opened; a command that reports
nothing opens none.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from types import FrameType

import psutil

from deepmark.errors import explain

STEPS = ((signal.SIGINT, 1.5), (signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0))
"""Signals, and the seconds that processes then have to tidy up: 3.5 in all, of the 5 that a person waits."""

_PR_SET_CHILD_SUBREAPER = 36
_STOPS = (signal.SIGTERM, signal.SIGINT)


def run_and_clean_up(command: list[str]) -> int:
    """The command's exit status. Told to stop, it raises SystemExit(128 + signal) once every process has ended."""
    for number in _STOPS:
        signal.signal(number, _stop)
    _adopt_orphans()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_stop_without_starter, daemon=True).start()
    try:
        child.returncode = _wait_and_reap(child.pid)
        return child.returncode
    finally:
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        _end_all_below()


def _wait_and_reap(child: int) -> int:
    """The child's exit status. Adopted processes that end before it are reaped, so that none stays as a zombie."""
    while True:
        process, status = os.wait()
        if process == child:
            return os.waitstatus_to_exitcode(status)


def _end_all_below() -> None:
    alive: set[psutil.Process] = set()
    for number, patience in STEPS:
        alive.update(psutil.Process().children(recursive=True))
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        alive = set(psutil.wait_procs(alive, timeout=patience)[1])


def _adopt_orphans() -> None:
    """Become the parent of processes below us that lose theirs, so that `_end_all_below` finds them.

    Linux only: on a Mac the ranks of a killed torchrun are not found.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _stop_without_starter() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> None:
    with _pipes():
        try:
            status: int | str = run_and_clean_up(sys.argv[1:])
        except OSError as error:  # the command cannot be started
            status = explain(error) or str(error)
    raise SystemExit(status)


def _pipes() -> AbstractContextManager[object]:
    if "DAGSTER_PIPES_CONTEXT" not in os.environ:
        return nullcontext()
    from dagster_pipes import open_dagster_pipes

    return open_dagster_pipes()


if __name__ == "__main__":
    main()
