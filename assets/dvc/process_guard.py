"""Runs a command, and leaves nothing of it behind: `python -m assets.dvc.process_guard COMMAND…`

`dvc repro` ignores an interrupt while its command runs, dies of SIGTERM without ending that command, and the ranks of
a training have sessions of their own, out of a process group's reach. So the guard ends every process below it: when
it is told to stop, and when the one who started it is gone, which shows as the end of the guard's stdin.
It opens Dagster's Pipes, so that a command with nothing to report does not look like one that failed to.
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

STEPS = ((signal.SIGINT, 1.5), (signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0))
"""What is sent, and for how many seconds the processes may then tidy up: 3.5 together, of the 5 a person waits."""

_PR_SET_CHILD_SUBREAPER = 36
_STOPS = (signal.SIGTERM, signal.SIGINT)


def run_guarded(command: list[str]) -> int:
    """The command's exit status. Told to stop, it raises SystemExit(128 + signal) once all is ended."""
    for number in _STOPS:
        signal.signal(number, _stop)
    _adopt_orphans()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_watch_starter, daemon=True).start()
    try:
        child.returncode = _wait_and_reap(child.pid)
        return child.returncode
    finally:
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        end_all_below()


def _wait_and_reap(child: int) -> int:
    """The child's exit status; what was adopted and ended before it does not stay as a zombie."""
    while True:
        process, status = os.wait()
        if process == child:
            return os.waitstatus_to_exitcode(status)


def end_all_below() -> None:
    """End every process below this one: politely, firmly, for certain."""
    alive: set[psutil.Process] = set()
    for number, patience in STEPS:
        alive.update(psutil.Process().children(recursive=True))
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        alive = set(psutil.wait_procs(alive, timeout=patience)[1])


def _adopt_orphans() -> None:
    """What loses its parent becomes our child, and is found; on a Mac a killed torchrun still hides its ranks."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _watch_starter() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> None:
    with _pipes():
        status = run_guarded(sys.argv[1:])
    raise SystemExit(status)


def _pipes() -> AbstractContextManager[object]:
    if "DAGSTER_PIPES_CONTEXT" not in os.environ:
        return nullcontext()
    from dagster_pipes import open_dagster_pipes

    return open_dagster_pipes()


if __name__ == "__main__":
    main()
