"""Runs the pieces of a stage in processes of this machine."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import ModuleType
from typing import TypeVar

from deepmark.errors import DeepmarkError

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2
"""Results per worker that may wait for the consumer; limits the memory."""


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives Ctrl-C and ends the pool
    # Without this, the workers of a parent killed by SIGKILL would wait for tasks for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()


@contextmanager
def _script_hidden(function: Callable) -> Iterator[None]:
    """Keep the processes that are started within from running the caller's script again.

    Multiprocessing imports the script in every worker, because the function may be defined there. Ours seldom is, and a
    script without `if __name__ == "__main__":` would start workers of its own in each worker.
    """
    script = sys.modules["__main__"]
    if getattr(function, "func", function).__module__ != "__main__":  # `func`: of a partial
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


class Local:
    """An engine of processes on this machine: as many as given, or one a core, and no more than there are items.

    With one worker, this process does the work.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or os.cpu_count() or 1

    def map_in_order(self, function: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
        """As `Engine`; raises DeepmarkError where a worker process died."""
        workers = min(self.workers, len(items)) if isinstance(items, Sized) else self.workers
        if workers <= 1:
            yield from map(function, items)
            return
        # "spawn", because a fork of a process with threads may deadlock.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                with _script_hidden(function):  # the pool starts its processes as it needs them
                    waiting.append(pool.submit(function, item))
                if len(waiting) > AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise DeepmarkError(
                f"One of {workers} worker processes died, most often for lack of memory. Free some and run it again."
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
