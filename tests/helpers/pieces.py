"""Functions that tests map over pieces; the workers of a cluster import them by this name."""

import os
import signal
import time
from pathlib import Path

from deepmark.errors import DeepmarkError


def double(number: int) -> int:
    """Twice the number; larger numbers of five finish sooner."""
    time.sleep(0.02 * (5 - number % 5))
    return 2 * number


def refuse(number: int) -> int:
    if number == 3:
        raise DeepmarkError("three")
    return number


def fault(number: int) -> float:
    return 1 / (3 - number)


def die_once(item: tuple[str, int]) -> int:
    """End the process by SIGKILL where nobody has done so for this number before."""
    mark = Path(item[0]) / f"died-{item[1]}"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item[1]


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def touch(item: tuple[str, float]) -> str:
    """After some seconds, a file in the working folder."""
    time.sleep(item[1])
    Path(item[0]).touch()
    return str(Path.cwd())


def count_at_work(folder: str, together: int = 1) -> int:
    """How many of these pieces are at work, this one included.

    The first ones wait until `together` are, or a minute: a busy machine may start a process late.
    """
    mark, met = Path(folder) / f"at-work-{os.getpid()}-{time.monotonic_ns()}", Path(folder) / "met"
    mark.touch()

    def at_work() -> int:
        return len(list(Path(folder).glob("at-work-*")))

    deadline = time.monotonic() + 60
    while at_work() < together and not met.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    if together > 1:
        met.touch()
    time.sleep(0.5)
    count = at_work()
    time.sleep(0.2)
    mark.unlink()
    return count
