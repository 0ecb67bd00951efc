"""Batches that a CPU predicts at the same time, each by one thread, so that the last digits depend on no machine."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

MOST_AT_ONCE = 8
"""Batches that a CPU predicts at the same time; each takes the memory of a batch, 1 GB or more for the hourglass."""


@contextmanager
def one_thread(device: torch.device | str) -> Iterator[int]:
    """Within it, each batch is predicted by one thread on a CPU; gives how many to predict at once instead.

    The last digits of a convolution depend on how many threads share it, and so on the machine and on how many
    processes it runs. On a GPU nothing changes, and batches follow each other.
    """
    threads = torch.get_num_threads()
    if torch.device(device).type != "cpu":
        yield 1
        return
    torch.set_num_threads(1)
    try:
        yield min(threads, MOST_AT_ONCE)
    finally:
        torch.set_num_threads(threads)


def map_at_once(function: Callable[[T], R], items: Iterable[T], at_once: int) -> Iterator[tuple[T, R]]:
    """The items with their results, in order, so many of them made by threads at the same time."""
    if at_once == 1:
        yield from ((item, function(item)) for item in items)
        return
    with ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[tuple[T, Future[R]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(function, item)))
                if len(waiting) > at_once:
                    first, result = waiting.popleft()
                    yield first, result.result()
            while waiting:
                first, result = waiting.popleft()
                yield first, result.result()
        finally:
            for _, result in waiting:
                result.cancel()
