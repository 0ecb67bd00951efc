"""The order of samples is the same for any number of processes and threads, and after a restart at any step."""

import hashlib
from itertools import cycle, product

import numpy as np
import pytest
from tiny_dataset import same

from deepmark.data.augment import make_sample
from deepmark.data.loader import load_batches
from deepmark.data.sampling import (
    batch_bounds,
    check_shares,
    permutation,
    repeat_factors,
    sample_order,
    shared_batches,
)
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.params import AugmentParams
from deepmark.vocabulary import DEEPFASHION2

SAMPLES, BATCH = 421, 8
STEPS = len(batch_bounds(SAMPLES, BATCH))
RANKS, WORKERS = (1, 2, 4), (0, 2, 4)
AUGMENT = AugmentParams(scale=(0.6, 1.3), shift=1.0, mirror=0.5, color=0.4, lighting=0.1)


def the_order() -> np.ndarray:
    return sample_order(SAMPLES, seed=317, epoch=2)


def learnt(first: int, stop: int, *, ranks: int, workers: int) -> list[list[int]]:
    """The batches from a step to another, as these processes and workers would learn them together."""
    loaded = []
    for rank in range(ranks):
        share = shared_batches(the_order(), BATCH, first_step=first, rank=rank, world=ranks)
        loaded.append(list(load_batches(share[: stop - first], lambda position: position, threads=workers)))
    batches = []
    for shares in zip(*loaded, strict=True):
        batch = [0] * sum(map(len, shares))
        for rank, share in enumerate(shares):
            batch[rank::ranks] = share
        batches.append(batch)
    return batches


def digest(batches: list[list[int]]) -> str:
    return hashlib.sha256(repr(batches).encode()).hexdigest()


@pytest.mark.parametrize("length", [0, 1, 2, 7, 1000])
def test_an_epoch_has_every_sample_once(length):
    assert sorted(sample_order(length, seed=5, epoch=3).tolist()) == list(range(length))


def test_the_order_depends_on_seed_and_epoch_alone():
    order = sample_order(100, seed=5, epoch=3)

    assert (order == sample_order(100, seed=5, epoch=3)).all()
    assert (order != sample_order(100, seed=6, epoch=3)).any()
    assert (order != sample_order(100, seed=5, epoch=4)).any()


def test_the_order_never_changes():
    # Not to be updated: a resumed training, and the next release of NumPy, must come to these numbers.
    assert sample_order(10, seed=317, epoch=2).tolist() == [2, 7, 9, 1, 5, 8, 3, 4, 0, 6]
    assert permutation(5, -1).tolist() == [2, 4, 0, 1, 3]


def shown(rare: int = 4, of: int = 200) -> list[list[int]]:
    """Images of which `rare` show category 3, all show 1, and the first shows 5 alone."""
    return [[1, 1] + [3] * (place % (of // rare) == 0) for place in range(of - 1)] + [[5]]


def test_an_image_is_repeated_by_its_rarest_category():
    factors = repeat_factors(shown(), 0.08)

    assert factors[1] == 1
    assert factors[0] == factors[50] == pytest.approx(2)  # sqrt(.08 / .02)
    assert factors[-1] == pytest.approx(4)  # sqrt(.08 / .005)
    assert repeat_factors([[], [1]], 0.5).tolist() == [1, 1]


@pytest.mark.parametrize("threshold", [0.001, 0.08, 1.0])
def test_an_epoch_of_repetitions_keeps_its_length_and_all_epochs_the_factors(threshold):
    factors = repeat_factors(shown(), threshold)
    wanted = factors * 200 / factors.sum()
    epochs = [sample_order(200, seed=317, epoch=epoch, factors=factors) for epoch in range(400)]
    counts = np.array([np.bincount(order % 200, minlength=200) for order in epochs])

    assert (counts.sum(axis=1) == 200).all()
    assert (np.abs(counts - wanted) < 1).all()
    np.testing.assert_allclose(counts.mean(axis=0), wanted, atol=0.12)


def test_repetitions_are_numbered_and_depend_on_seed_and_epoch_alone():
    factors = repeat_factors(shown(), 0.5)
    order = sample_order(200, seed=1, epoch=2, factors=factors)

    assert len(set(order.tolist())) == 200
    for place in set((order % 200).tolist()):
        repetitions = sorted((order[order % 200 == place] // 200).tolist())
        assert repetitions == list(range(len(repetitions)))
    assert (order == sample_order(200, seed=1, epoch=2, factors=factors)).all()
    assert (order != sample_order(200, seed=1, epoch=3, factors=factors)).any()
    # Not to be updated, as above.
    assert sample_order(6, seed=1, epoch=2, factors=np.array([1.0, 1, 1, 1, 1, 7])).tolist() == [2, 23, 17, 11, 5, 3]


@pytest.mark.parametrize(
    ("length", "batch_size"), [(1, 1), (7, 3), (8, 4), (9, 4), (37, 37), (38, 37), (1000, 37), (3, 8)]
)
def test_batches_hold_every_sample_once_and_differ_by_one_at_most(length, batch_size):
    bounds = batch_bounds(length, batch_size)

    sizes = [stop - start for start, stop in bounds]
    assert [position for start, stop in bounds for position in range(start, stop)] == list(range(length))
    assert len(bounds) == -(-length // batch_size)
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_without_samples_there_are_no_steps():
    assert batch_bounds(0, 4) == []


@pytest.mark.parametrize(("ranks", "workers"), list(product(RANKS, WORKERS)))
def test_the_order_has_the_same_digest_for_any_number_of_ranks_and_workers(ranks, workers):
    order = the_order().tolist()
    expected = [order[start:stop] for start, stop in batch_bounds(SAMPLES, BATCH)]

    assert digest(learnt(0, STEPS, ranks=ranks, workers=workers)) == digest(expected)


def test_a_run_resumes_at_any_step_with_any_other_number_of_ranks_and_workers():
    whole = learnt(0, STEPS, ranks=1, workers=0)
    changes = cycle((a, b) for a, b in product(product(RANKS, WORKERS), repeat=2) if a != b)
    assert STEPS > 50

    for step, (before, after) in zip(range(STEPS + 1), changes, strict=False):
        first = learnt(0, step, ranks=before[0], workers=before[1])
        second = learnt(step, STEPS, ranks=after[0], workers=after[1])
        seen = [position for batch in first + second for position in batch]
        assert sorted(seen) == list(range(SAMPLES)), f"cut off after step {step}, {before} then {after}"
        assert first + second == whole, f"cut off after step {step}, {before} then {after}"


@pytest.mark.parametrize("world", [1, 2, 3, 4, 11])
def test_the_ranks_shares_of_a_batch_differ_by_one_at_most(world):
    shares = [shared_batches(the_order(), BATCH, rank=rank, world=world) for rank in range(world)]

    assert {len(share) for share in shares} == {STEPS}
    for step in range(STEPS):
        sizes = [len(share[step]) for share in shares]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("workers", WORKERS)
def test_a_sample_is_the_same_to_the_bit_for_any_number_of_workers(shards, workers):
    reader = ShardReader(shards)

    def make(position: int):
        rng = np.random.default_rng([5, 1, position])
        record, jpeg = reader[position]
        return record, make_sample(record, jpeg, canvas=(64, 96), augment=AUGMENT, rng=rng, vocabulary=DEEPFASHION2)

    batches = [[3, 1], [0], [2, 6, 5, 4]] * 3
    for batch, loaded in zip(batches, load_batches(batches, make, threads=workers), strict=True):
        for position, (record, sample) in zip(batch, loaded, strict=True):
            alone_record, alone = make(position)
            assert same(record, alone_record)
            assert sample.image.tobytes() == alone.image.tobytes()
            assert sample.landmarks.tobytes() == alone.landmarks.tobytes()


def test_processes_that_a_batch_has_no_image_for_are_refused():
    check_shares(17, 8, processes=5)  # batches of 5 and 6
    with pytest.raises(DeepmarkError, match="6 processes cannot share a batch of 5 of the 17 training images"):
        check_shares(17, 8, processes=6)
