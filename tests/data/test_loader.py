"""Samples come in order, whatever the threads do."""

import threading
import time

import pytest

from deepmark.data.loader import default_threads, load_batches

BATCHES = [[3, 1], [2], [], [0, 4, 5], [6], [7], [8], [9]]


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_batches_keep_their_order_for_any_number_of_threads(threads):
    def slow_first(position: int) -> int:
        time.sleep(0.002 * (position % 3))
        return position

    assert list(load_batches(BATCHES, slow_first, threads=threads)) == BATCHES


def test_an_error_appears_at_its_batch():
    def make(position: int) -> int:
        if position == 4:
            raise ValueError("sample 4 is broken")
        return position

    batches = load_batches(BATCHES, make, threads=2)
    assert [next(batches) for _ in range(3)] == BATCHES[:3]
    with pytest.raises(ValueError, match="sample 4"):
        next(batches)


def test_a_consumer_that_stops_early_leaves_no_thread_behind():
    before = threading.active_count()
    batches = load_batches(BATCHES, lambda position: position, threads=4)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_the_number_of_threads_can_be_chosen(monkeypatch):
    monkeypatch.setenv("DEEPMARK_LOADER_THREADS", "7")
    assert default_threads(2) == 7
