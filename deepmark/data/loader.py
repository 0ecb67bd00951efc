"""Prepares batches ahead of their use on threads, because decoding and warping release the interpreter lock.

Nothing is pickled or passed between processes, and a killed training leaves no processes behind.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from deepmark.compute.devices import MOST_LOADER_THREADS
from deepmark.errors import DeepmarkError

T = TypeVar("T")

AHEAD = 4
"""Batches that are prepared ahead of the one in use."""

_VARIABLE = "DEEPMARK_LOADER_THREADS"


def default_threads(processes: int = 1) -> int:
    """The number of threads for one of `processes` on this machine: its share of the cores, at most 8.

    The environment variable DEEPMARK_LOADER_THREADS overrides it. Results do not depend on the number of threads.

    Raises DeepmarkError where the variable is not a number of threads.
    """
    chosen = os.environ.get(_VARIABLE)
    if not chosen:
        return max(1, min(MOST_LOADER_THREADS, (os.cpu_count() or 1) // processes))
    if not chosen.isdecimal():
        raise DeepmarkError(
            f"the environment variable {_VARIABLE} is {chosen!r}. Set it to a number of threads, to 0 for none beside "
            "the training itself, or not at all."
        )
    return int(chosen)


def load_batches(batches: Iterable[Sequence[int]], make: Callable[[int], T], *, threads: int) -> Iterator[list[T]]:
    """The results of `make` for each batch of positions, in order, prepared up to `AHEAD` batches ahead.

    With 0 threads, a batch is made in the consumer's thread when it is requested.

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
