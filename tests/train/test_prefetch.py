"""Batches arrive on the device unchanged and in order."""

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest
import torch

from deepmark.train.prefetch import on_device
from deepmark.train.targets import Batch, collate
from deepmark.types import Sample

CPU = torch.device("cpu")


def a_batch(seed: int, *, pinned: bool = False) -> Batch:
    rng = np.random.default_rng(seed)
    samples = []
    for garments in (2, 0, 1):
        samples.append(
            Sample(
                image=rng.integers(0, 256, (32, 64, 3), np.uint8),
                boxes=rng.uniform(0, 32, (garments, 4)).astype(np.float32),
                categories=rng.integers(0, 13, garments),
                landmarks=rng.uniform(0, 32, (garments, 39, 3)).astype(np.float32),
                affine=np.eye(2, 3),
            )
        )
    return collate(samples, pinned=pinned)


def assert_same(one: Batch, other: Batch) -> None:
    for field in fields(Batch):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert a.dtype == b.dtype
        assert torch.equal(a.cpu(), b.cpu())


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_sending_ahead_changes_no_batch_and_no_order(count):
    steps = [[a_batch(10 * step + part) for part in range(1 + step % 3)] for step in range(count)]

    arrived = list(on_device(steps, CPU))

    assert [len(batches) for batches in arrived] == [1 + step % 3 for step in range(count)]
    for step, batches in enumerate(arrived):
        for part, batch in enumerate(batches):
            assert_same(batch, a_batch(10 * step + part))


def test_one_step_is_sent_ahead_and_no_more():
    asked = []

    def steps() -> Iterator[list[Batch]]:
        for seed in range(4):
            asked.append(seed)
            yield [a_batch(seed)]

    for number, _ in enumerate(on_device(steps(), CPU)):
        assert asked == list(range(min(4, number + 2)))


def test_an_error_of_the_loader_comes_through():
    def steps() -> Iterator[list[Batch]]:
        yield [a_batch(0)]
        raise ValueError("sample 7 is damaged")

    with pytest.raises(ValueError, match="sample 7"):
        list(on_device(steps(), CPU))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gets_what_was_sent_from_pinned_memory_and_from_any_other():
    cuda = torch.device("cuda", 0)
    for pinned in (True, False):
        steps = [[a_batch(seed, pinned=pinned)] for seed in range(20)]
        assert steps[0][0].images.is_pinned() == pinned
        # kept, so that memory that is freed too early would be overwritten by a later batch
        for number, (batch,) in enumerate(list(on_device(steps, cuda))):
            assert batch.images.device == cuda
            assert_same(batch, a_batch(number))
