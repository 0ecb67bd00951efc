"""Samples made ahead of their use, on threads: decoding and warping release the interpreter's lock.

Nothing crosses between processes, nothing is pickled, and a killed training leaves nothing behind.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

AHEAD = 4
"""Batches in the making beside the one in use."""


def default_threads(processes: int = 1) -> int:
    """Threads for one of `processes` trainings on this machine: its share of the cores, 16 at most.

    The environment variable DEEPMARK_LOADER_THREADS overrides it; no number of threads changes a result.
    """
    chosen = os.environ.get("DEEPMARK_LOADER_THREADS")
    return int(chosen) if chosen else max(1, min(16, (os.cpu_count() or 1) // processes))


def load_batches(batches: Iterable[Sequence[int]], make: Callable[[int], T], *, threads: int) -> Iterator[list[T]]:
    """What `make` makes of each batch of positions, in order, `AHEAD` batches ahead of the consumer.

    Raises what `make` raises, at the batch where it happened.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="loader") as pool:
        waiting: deque[list[Future[T]]] = deque()
        try:
            for batch in batches:
                waiting.append([pool.submit(make, int(position)) for position in batch])
                if len(waiting) > AHEAD:
                    yield [sample.result() for sample in waiting.popleft()]
            while waiting:
                yield [sample.result() for sample in waiting.popleft()]
        finally:
            for batch_futures in waiting:
                for future in batch_futures:
                    future.cancel()
