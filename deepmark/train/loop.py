"""The training loop: batches in, a better detector and one report an epoch out.

A step is a pure function of the weights, the seed and the step's number, so a run that was cut off goes on exactly.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from deepmark.data.augment import make_sample
from deepmark.data.loader import default_threads, load_batches
from deepmark.data.sampling import batch_bounds, sample_order, shared_batches
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.params import AugmentParams, TrainParams
from deepmark.train.best_epoch import Best, better
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.distributed.stop_signal import StoppedError, StopSignal
from deepmark.train.optim import learning_rate
from deepmark.train.prefetch import on_device
from deepmark.train.step import LOSS_NAMES, Stepper, StepResult
from deepmark.train.targets import Batch, collate
from deepmark.types import Sample

MOST_SKIPPED = 20
"""Steps left out one after the other before the run stops all the same: it is not the batch, then."""

_NAMED = 40
"""Pictures of a bad batch that are named."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochReport:
    """What an epoch was like."""

    epoch: int
    """From 0."""

    train: dict[str, float]
    validation: dict[str, float]
    """Mean over the steps of the total loss and of each part, weighted."""

    measured: dict[str, float | None]
    """Box AP and landmark AP on the validation set, where they were measured after this epoch."""

    learning_rate: float
    """At its last step."""

    skipped: int
    """Steps left out because their loss was not a number."""

    seconds: float
    samples_per_second: float
    waiting: float
    """Share of the time in which the first process waited for samples."""


@dataclass(kw_only=True, slots=True)
class Position:
    """How far a run has come; with the weights and the optimiser it is all that is needed to go on."""

    epoch: int = 0
    step: int = 0
    """Steps done inside the epoch."""

    loss_sums: list[float] = field(default_factory=lambda: [0.0] * len(LOSS_NAMES))
    """Of this epoch's steps, over all processes."""

    skipped: int = 0
    """Steps of this epoch that were left out."""

    skipped_in_a_row: int = 0
    samples: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    """Samples learnt in this epoch, the time it took so far, and the part of it spent waiting for samples."""

    history: list[dict] = field(default_factory=list)
    """The reports of the finished epochs."""

    best: Best | None = None
    """The weights of the best epoch so far, where epochs are measured."""

    def count(self, result: StepResult) -> None:
        """One more step is done, or left out."""
        self.step += 1
        if result.is_finite:
            self.loss_sums = [a + b for a, b in zip(self.loss_sums, result.losses, strict=True)]
            self.skipped_in_a_row = 0
        else:
            self.skipped += 1
            self.skipped_in_a_row += 1

    def finish_epoch(self, report: EpochReport) -> None:
        """The epoch is over, and its report is history."""
        self.history.append(asdict(report))
        self.epoch, self.step, self.skipped = self.epoch + 1, 0, 0
        self.samples, self.seconds, self.waited = 0, 0.0, 0.0
        self.loss_sums = [0.0] * len(LOSS_NAMES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """What is learnt, and what is held against it."""

    train: ShardReader
    validation: ShardReader
    canvas: tuple[int, int]
    """Height and width of the network's input, pixels."""

    augment: AugmentParams

    def steps_per_epoch(self, params: TrainParams) -> int:
        """Enough steps for every sample to be seen once."""
        return len(batch_bounds(len(self.train), params.batch_size))


def _load(
    order: np.ndarray, make: Callable[[int], Sample], params: TrainParams, group: ProcessGroup, *, first_step: int = 0
) -> Iterator[list[Batch]]:
    """This process's share of each batch, on the device, in parts that fit it."""
    shares = shared_batches(order, params.batch_size, first_step=first_step, rank=group.rank, world=group.world_size)
    pinned = group.device.type == "cuda"

    def parts() -> Iterator[list[Batch]]:
        for samples in load_batches(shares, make, threads=default_threads(group.local_world_size)):
            bounds = batch_bounds(len(samples), params.device_batch or len(samples))
            yield [collate(samples[start:stop], pinned=pinned) for start, stop in bounds]

    return on_device(parts(), group.device)


def _sampler(data: Data, reader: ShardReader, augment: AugmentParams | None, *words: int) -> Callable[[int], Sample]:
    def make(index: int) -> Sample:
        record, jpeg = reader[index]
        rng = np.random.default_rng([*words, index])
        return make_sample(record, jpeg, canvas=data.canvas, augment=augment, rng=rng)

    return make


def _means(sums: Sequence[float], steps: int) -> dict[str, float]:
    return {name: value / max(1, steps) for name, value in zip(LOSS_NAMES, sums, strict=True)}


def validate(stepper: Stepper, data: Data) -> dict[str, float]:
    """The mean losses over the validation set, unaugmented, by the weights that are kept; all processes share it."""
    group, detector = stepper.group, stepper.kept
    group.broadcast_buffers(detector)
    was_training = detector.training
    detector.eval()
    order, make = np.arange(len(data.validation)), _sampler(data, data.validation, None)
    sums = torch.zeros(len(LOSS_NAMES), dtype=torch.float64, device=group.device)
    for parts in _load(order, make, stepper.params, group):
        sums += stepper.measure(parts)
    detector.train(was_training)
    return _means(group.sum(sums).tolist(), len(batch_bounds(len(order), stepper.params.batch_size)))


def fit(
    stepper: Stepper,
    data: Data,
    position: Position,
    *,
    stop: StopSignal,
    after_step: Callable[[Position], None],
    measure: Callable[[Stepper], dict[str, float | None]],
) -> Iterator[EpochReport]:
    """Train from `position` to the last epoch; one report an epoch.

    `position` is kept up to date. `after_step` is called after every step; `measure`, for box AP and landmark AP by
    the weights that are kept, after every `evaluate_every`-th epoch and the last.

    Raises StoppedError where a process was told to end, DeepmarkError where the loss stops being a number.
    """
    params = stepper.params
    stepper.detector.train()
    for epoch in range(position.epoch, params.epochs):
        with stop.deferred():
            _train_epoch(stepper, data, position, stop, after_step)
        validation, measured = validate(stepper, data), {}
        if not math.isfinite(validation["total"]):
            raise DeepmarkError(
                f"epoch {epoch + 1}: the validation loss is not a number, though the training loss is "
                f"({position.loss_sums[0] / max(1, position.step):.4g}). Lower train.learning_rate or take another "
                "train.precision, and go back: `deepmark train --fresh`."
            )
        every = params.evaluate_every
        if every and ((epoch + 1) % every == 0 or epoch + 1 == params.epochs):
            measured = measure(stepper)
            if stepper.group.is_first:
                position.best = better(position.best, epoch, {**measured, "loss": validation["total"]}, stepper)
        steps = data.steps_per_epoch(params)
        report = EpochReport(
            epoch=epoch,
            train=_means(position.loss_sums, position.step - position.skipped),
            validation=validation,
            measured=measured,
            learning_rate=learning_rate(params, step=(epoch + 1) * steps - 1, steps_per_epoch=steps),
            skipped=position.skipped,
            seconds=position.seconds,
            samples_per_second=position.samples / position.seconds,
            waiting=position.waited / position.seconds,
        )
        position.finish_epoch(report)
        yield report


def _train_epoch(
    stepper: Stepper, data: Data, position: Position, stop: StopSignal, after_step: Callable[[Position], None]
) -> None:
    """From `position` to the end of its epoch."""
    params, epoch, first = stepper.params, position.epoch, position.step
    steps = data.steps_per_epoch(params)
    order = sample_order(len(data.train), seed=params.seed, epoch=epoch)
    make = _sampler(data, data.train, data.augment, params.seed, epoch)
    loaded = _load(order, make, params, stepper.group, first_step=first)
    started = time.perf_counter()
    for batch in shared_batches(order, params.batch_size, first_step=first):
        asked = time.perf_counter()
        parts = next(loaded)
        position.waited += time.perf_counter() - asked
        rate = learning_rate(params, step=epoch * steps + position.step, steps_per_epoch=steps)
        result = stepper.step(parts, rate, stop=stop.is_received)
        position.count(result)
        if not result.is_finite:
            _complain(stepper, data, position, batch, result)
        position.samples += len(batch)
        position.seconds, started = position.seconds + time.perf_counter() - started, time.perf_counter()
        after_step(position)
        if result.stop:
            raise StoppedError


def _complain(stepper: Stepper, data: Data, position: Position, batch: Sequence[int], result: StepResult) -> None:
    """Say at which pictures the loss stopped being a number; go on without them, or not."""
    bad = [name for name, value in zip(LOSS_NAMES[1:], result.losses[1:], strict=True) if not np.isfinite(value)]
    keys = [data.train.key(index) for index in batch[:_NAMED]]
    what = f"the loss is not a number ({', '.join(bad)})" if bad else "the gradient is not a number"
    message = (
        f"epoch {position.epoch + 1}, step {position.step}: {what}. "
        f"Pictures: {', '.join(keys)}{' …' if len(batch) > _NAMED else ''}."
    )
    if stepper.params.not_finite == "stop":
        raise DeepmarkError(
            f"{message} Lower train.learning_rate, set train.clip_norm, or take train.precision bf16 or fp32; "
            "train.not_finite skip leaves such steps out."
        )
    if position.skipped_in_a_row >= MOST_SKIPPED:
        raise DeepmarkError(
            f"{message} {MOST_SKIPPED} steps in a row were left out, so the weights are at fault. Go back with a lower "
            "train.learning_rate: `deepmark train --fresh`."
        )
    if stepper.group.is_first:
        _log.warning("%s The step is left out.", message)
