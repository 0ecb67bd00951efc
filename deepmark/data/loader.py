"""Samples made ahead of their use, on threads: decoding and warping release the interpreter's lock.

Nothing crosses between processes, nothing is pickled, and a killed training leaves nothing behind.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from deepmark.errors import DeepmarkError

T = TypeVar("T")

AHEAD = 4
"""Batches in the making beside the one in use."""

MOST_THREADS = 8
"""A sample holds the interpreter's lock for a seventh of its time: more threads would only queue for it."""

_VARIABLE = "DEEPMARK_LOADER_THREADS"


def default_threads(processes: int = 1) -> int:
    """Threads for one of `processes` trainings on this machine: its share of the cores, 8 at most.

    The environment variable DEEPMARK_LOADER_THREADS overrides it; no number of threads changes a result.

    Raises DeepmarkError where the variable holds no number of threads.
    """
    chosen = os.environ.get(_VARIABLE)
    if not chosen:
        return max(1, min(MOST_THREADS, (os.cpu_count() or 1) // processes))
    if not chosen.isdecimal():
        raise DeepmarkError(
            f"the environment variable {_VARIABLE} is {chosen!r}. Set it to a number of threads, to 0 for none beside "
            "the training itself, or not at all."
        )
    return int(chosen)


def load_batches(batches: Iterable[Sequence[int]], make: Callable[[int], T], *, threads: int) -> Iterator[list[T]]:
    """What `make` makes of each batch of positions, in order, `AHEAD` batches ahead of the consumer.

    With no threads, each batch is made by the consumer's own when it asks for it.

    Raises what `make` raises, at the batch where it happened.
    """
    if threads == 0:
        for batch in batches:
            yield [make(int(position)) for position in batch]
        return
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
