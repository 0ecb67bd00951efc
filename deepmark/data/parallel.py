"""The same function over many things, on several processes, results in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from deepmark.errors import DeepmarkError

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2
"""Results a worker may be ahead of their consumer: this bounds the memory."""


def worker_count(workers: int | None, tasks: int) -> int:
    """How many processes to use: as asked, or one a core; never more than there are tasks."""
    return max(1, min(workers or os.cpu_count() or 1, tasks))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends the pool
    # A parent killed outright tells nobody, and its workers would wait for tasks for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def map_in_order(function: Callable[[T], R], things: Iterable[T], *, workers: int) -> Generator[R, None, None]:
    """The results in the order of the things, whatever the number of workers; one worker is this process.

    `function` must be importable by its name. A consumer that may stop early closes the iterator
    (`contextlib.closing`), which waits until no worker is busy any more.

    Raises what `function` raises, and DeepmarkError where a worker process died.
    """
    if workers == 1:
        yield from map(function, things)
        return
    # "spawn": a fork of a process that has threads may deadlock.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    waiting: deque[Future[R]] = deque()
    try:
        for thing in things:
            waiting.append(pool.submit(function, thing))
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
