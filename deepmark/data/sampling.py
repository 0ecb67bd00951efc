"""The order in which samples are learnt, and how processes share it.

The order is a pure function of the seed, the epoch and the number of samples, so processes, threads and resumed runs
agree on it without communicating.
"""

import numpy as np

from deepmark.shapes import Int64


def permutation(length: int, *seeds: int) -> Int64[np.ndarray, " n"]:
    """A shuffle of 0 … length - 1 that depends on the seeds only, not on the version of NumPy."""
    # NumPy guarantees that the raw bits of a PCG64 never change, but not the results of its `permutation`.
    bits = np.random.PCG64(np.random.SeedSequence([seed % 2**64 for seed in seeds]))
    return np.argsort(bits.random_raw(length), kind="stable")


def sample_order(length: int, *, seed: int, epoch: int) -> Int64[np.ndarray, " n"]:
    """The positions of all samples, shuffled for one epoch."""
    return permutation(length, seed, epoch)


def batch_bounds(length: int, batch_size: int) -> list[tuple[int, int]]:
    """The start and the end of each step's batch in the order of an epoch.

    There are as few steps as possible. No batch exceeds `batch_size`, and sizes differ by one at most: no small last
    batch, nothing dropped.
    """
    steps = -(-length // batch_size)
    return [(step * length // steps, (step + 1) * length // steps) for step in range(steps)]


def shared_batches(
    order: Int64[np.ndarray, " n"], batch_size: int, *, first_step: int = 0, rank: int = 0, world: int = 1
) -> list[list[int]]:
    """The batches that process `rank` of `world` takes from an order, from `first_step` on.

    All processes get the same number of batches. The processes take the samples of a step's batch in turns, so a
    step has the same samples for any number of processes. Where a batch has fewer samples than there are processes,
    some get an empty batch.
    """
    bounds = batch_bounds(len(order), batch_size)[first_step:]
    return [order[start + rank : stop : world].tolist() for start, stop in bounds]
