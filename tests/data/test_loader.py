"""Batches come in order, for any number of threads."""

import threading
import time

import pytest

from deepmark.data.loader import default_threads, load_batches
from deepmark.errors import DeepmarkError

BATCHES = [[3, 1], [2], [], [0, 4, 5], [6], [7], [8], [9]]


@pytest.mark.parametrize("threads", [0, 1, 2, 8])
def test_batches_keep_their_order_for_any_number_of_threads(threads):
    def slow_first(position: int) -> int:
        time.sleep(0.002 * (position % 3))
        return position

    assert list(load_batches(BATCHES, slow_first, threads=threads)) == BATCHES


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_appears_at_its_batch(threads):
    def make(position: int) -> int:
        if position == 4:
            raise ValueError("sample 4 is broken")
        return position

    batches = load_batches(BATCHES, make, threads=threads)
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


def test_no_threads_means_that_the_consumer_makes_each_batch_when_it_asks(monkeypatch):
    monkeypatch.setenv("DEEPMARK_LOADER_THREADS", "0")
    made = []
    batches = load_batches(
        BATCHES, lambda position: made.append((position, threading.get_ident())), threads=default_threads()
    )

    next(batches)

    assert made == [(3, threading.get_ident()), (1, threading.get_ident())]


@pytest.mark.parametrize(
    ("cores", "processes", "threads"), [(1, 1, 1), (2, 4, 1), (12, 4, 3), (64, 1, 8), (None, 1, 1)]
)
def test_each_process_takes_its_share_of_the_cores_up_to_eight(monkeypatch, cores, processes, threads):
    monkeypatch.delenv("DEEPMARK_LOADER_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert default_threads(processes) == threads


@pytest.mark.parametrize("value", ["many", "-1", "1.5"])
def test_a_wrong_number_of_threads_is_reported(monkeypatch, value):
    monkeypatch.setenv("DEEPMARK_LOADER_THREADS", value)
    with pytest.raises(DeepmarkError, match=f"DEEPMARK_LOADER_THREADS is '{value}'. Set it to a number"):
        default_threads()
