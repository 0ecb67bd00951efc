"""Runs the pieces of a stage in processes of this machine."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from types import ModuleType
from typing import TypeVar

from deepmark.compute.devices import device_environments
from deepmark.compute.engine import Place
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


def _start_worker(environments: SimpleQueue[Mapping[str, str]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives Ctrl-C and ends the pool
    # Without this, the workers of a parent killed by SIGKILL would wait for tasks for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(environments.get())  # before torch is imported, which reads it then


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
    """An engine of processes on this machine, no more than there are items.

    For cores there are as many as given, or one a core. For devices there is one a GPU, and without GPUs as many as
    given, or one that uses all cores. Where there is to be one, this process does the work.
    """

    name = "local"

    def __init__(self, workers: int | None = None) -> None:
        self.machines, self.lost = 1, 0
        self.workers = workers or os.cpu_count() or 1
        self._given = workers

    def map_in_order(
        self, function: Callable[[T], R], items: Iterable[T], *, on: Place = "core"
    ) -> Generator[R, None, None]:
        """As `Engine`; raises DeepmarkError where a worker process died."""
        environments = device_environments(self._given) if on == "device" else [{}] * self.workers
        workers = min(len(environments), len(items)) if isinstance(items, Sized) else len(environments)
        if workers <= 1:
            yield from map(function, items)
        else:
            yield from _map_in_processes(function, items, environments[:workers])


def _map_in_processes(
    function: Callable[[T], R], items: Iterable[T], environments: Sequence[Mapping[str, str]]
) -> Generator[R, None, None]:
    """The results by a process for each of these environments, which are added to that of this process."""
    # "spawn", because a fork of a process with threads may deadlock.
    context, workers = multiprocessing.get_context("spawn"), len(environments)
    queue: SimpleQueue[Mapping[str, str]] = context.SimpleQueue()
    for environment in environments:
        queue.put(environment)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(queue,))
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
