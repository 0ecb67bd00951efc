"""The order in which samples are learnt, and how processes share it.

The order is a pure function of the seed, the epoch and the number of samples, with repetition of their factors too, so
processes, threads and resumed runs agree on it without communicating.
"""

import math
from collections.abc import Collection, Sequence

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.shapes import Float64, Int64


def permutation(length: int, *seeds: int) -> Int64[np.ndarray, " n"]:
    """A shuffle of 0 … length - 1 that depends on the seeds only, not on the version of NumPy."""
    return np.argsort(_random_bits(length, *seeds), kind="stable")


def _random_bits(length: int, *seeds: int) -> np.ndarray:
    # NumPy guarantees that the raw bits of a PCG64 never change, but not the results of its `permutation`.
    return np.random.PCG64(np.random.SeedSequence([seed % 2**64 for seed in seeds])).random_raw(length)


def repeat_factors(categories: Sequence[Collection[int]], threshold: float) -> Float64[np.ndarray, " n"]:
    """How often each image should be seen in relation to others, 1 or more, from the categories that it shows.

    The largest over its categories of max(1, sqrt(threshold / f)), where f is the share of images with the category, as
    the threshold is: 0..1. An image of no category has 1.
    Source: LVIS, 2019, section on repeat factor sampling.
    """
    shown = [set(each) for each in categories]
    counts = np.bincount([one for each in shown for one in each], minlength=1)
    shares = np.maximum(counts, 1) / max(1, len(shown))
    factors = np.maximum(1.0, np.sqrt(threshold / shares))
    return np.array([max((factors[one] for one in each), default=1.0) for each in shown], np.float64)


def sample_order(
    length: int, *, seed: int, epoch: int, factors: Float64[np.ndarray, " n"] | None = None
) -> Int64[np.ndarray, " n"]:
    """The positions of all samples, shuffled for one epoch.

    With `factors`, samples are drawn in relation to them: of n samples, one of factor r is there r n / sum(factors)
    times in the mean of many epochs, rounded up or down in each. An epoch keeps its length, so steps and schedule are
    the same, and some samples of a low factor wait for another epoch; in LVIS an epoch grows instead. The k-th
    repetition of position p is p + k * length, for it is augmented in its own way.
    """
    shuffle = permutation(length, seed, epoch)
    if factors is None or not length:
        return shuffle
    # Systematic sampling: one random start, then equal steps along the factors, laid end to end in a random order.
    placed = permutation(length, seed, epoch, 1)
    ends = np.cumsum(factors[placed] * (length / math.fsum(factors)))
    ends[-1] = length
    start = int(_random_bits(1, seed, epoch, 2)[0]) / 2**64
    counts: Int64[np.ndarray, " n"] = np.diff(np.floor(ends + start).astype(np.int64), prepend=0)
    repetition = np.arange(length) - np.repeat(np.cumsum(counts) - counts, counts)
    return (np.repeat(placed, counts) + length * repetition)[shuffle]


def batch_bounds(length: int, batch_size: int) -> list[tuple[int, int]]:
    """The start and the end of each step's batch in the order of an epoch.

    There are as few steps as possible. No batch exceeds `batch_size`, and sizes differ by one at most: no small last
    batch, nothing dropped.
    """
    steps = -(-length // batch_size)
    return [(step * length // steps, (step + 1) * length // steps) for step in range(steps)]


def part_bounds(share: int, *, most: int | None, largest: int) -> list[tuple[int, int]]:
    """The start and the end of the parts that a process splits its share of a batch into, of `most` samples or fewer.

    There are as many parts as a share of `largest` samples needs, because processes that normalise together must all
    have the same number of them; none where that is 0.

    Raises DeepmarkError where a part would be empty.
    """
    parts = -(-largest // (most or largest)) if largest else 0
    if share < parts:
        raise DeepmarkError(
            "params.yaml: train: sync_batch_norm needs an image for every process in every pass, and a process has "
            f"{share} for {parts} of them. Raise train.batch_size or train.device_batch, or set it to false."
        )
    return [(part * share // parts, (part + 1) * share // parts) for part in range(parts)]


def check_shares(images: int, batch_size: int, *, processes: int) -> None:
    """Raise DeepmarkError where a batch has no image for some process, for which the others would wait."""
    smallest = min((stop - start for start, stop in batch_bounds(images, batch_size)), default=0)
    if smallest < processes:
        raise DeepmarkError(
            f"params.yaml: train: {processes} processes cannot share a batch of {smallest} of the {images} training "
            "images. Raise train.batch_size, start fewer processes (compute.train_processes), or add images."
        )


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
