"""The training loop: it trains a detector on batches and gives one report per epoch.

A step is a pure function of the weights, the seed and the step's number, so an interrupted run resumes exactly.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from deepmark.data.augment import make_sample
from deepmark.data.loader import default_threads, load_batches
from deepmark.data.sampling import batch_bounds, check_shares, part_bounds, sample_order, shared_batches
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.params import AugmentParams, TrainParams
from deepmark.shapes import Float64
from deepmark.train.best_epoch import BestEpoch, update_best
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.distributed.stop_signal import StoppedError, StopSignal
from deepmark.train.optim import learning_rate, weight_norm
from deepmark.train.prefetch import on_device
from deepmark.train.skipped_steps import advice, handle_skipped_step
from deepmark.train.step import PendingStep, Stepper, StepResult
from deepmark.train.targets import Batch, collate
from deepmark.types import Sample

READ_EVERY = {"cpu": 1, "cuda": 10}
"""Steps whose results are read together, by the kind of device: reading waits for a GPU. No result depends on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochReport:
    """The figures of one epoch."""

    epoch: int
    """From 1."""

    train: dict[str, float]
    validation: dict[str, float]
    """Mean over the steps whose loss is finite, of the total loss and of each part, weighted; `validation` is empty
    where it was not measured after this epoch."""

    measured: dict[str, float | None]
    """Box AP and landmark AP on the validation set, if they were measured after this epoch."""

    learning_rate: float
    """Of its last step."""

    steps: int
    skipped: int
    """Steps of the epoch, and those of them that were skipped because their loss or gradient was not finite."""

    weight_norm: float
    """L2 norm of all weights after the epoch; to the last digit that of the epoch before only if no weight changed."""

    seconds: float
    samples_per_second: float
    waiting: float
    """The share of the time that the first process waited for samples, 0..1."""


@dataclass(kw_only=True, slots=True)
class TrainState:
    """The progress of a run: with the weights and the optimiser, all that is needed to resume it."""

    epoch: int = 0
    """Epochs done."""

    step: int = 0
    """Steps done inside the epoch."""

    loss_sums: list[float] = field(default_factory=list)
    """Of this epoch's steps, over all processes, in the order of `Stepper.loss_names`; empty before its first step."""

    without_loss: int = 0
    """Steps of this epoch whose loss was not finite, which the sums leave out."""

    skipped: int = 0
    """Steps of this epoch that were skipped."""

    skipped_in_a_row: int = 0
    samples: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    """Of this epoch so far: samples seen, seconds, and the part of these spent waiting for samples."""

    history: list[dict] = field(default_factory=list)
    """The reports of the finished epochs."""

    best: BestEpoch | None = None
    """The weights of the best epoch so far, where epochs are measured."""

    def count(self, result: StepResult) -> None:
        """Count one more step, done or skipped."""
        self.step += 1
        if all(map(math.isfinite, result.losses)):
            sums = self.loss_sums or [0.0] * len(result.losses)
            self.loss_sums = [a + b for a, b in zip(sums, result.losses, strict=True)]
        else:
            self.without_loss += 1
        self.skipped += not result.is_finite
        self.skipped_in_a_row = 0 if result.is_finite else self.skipped_in_a_row + 1

    def finish_epoch(self, report: EpochReport) -> None:
        """Add the report of the finished epoch to the history, and start the next one."""
        self.history.append(asdict(report))
        self.epoch, self.step, self.skipped, self.without_loss = self.epoch + 1, 0, 0, 0
        self.samples, self.seconds, self.waited = 0, 0.0, 0.0
        self.loss_sums = []


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainData:
    """The training and validation sets, and how they become samples."""

    train: ShardReader
    validation: ShardReader
    canvas: tuple[int, int]
    """Height and width of the network's input, pixels."""

    augment: AugmentParams
    repeat_factors: Float64[np.ndarray, " n"] | None = None
    """How often each training image is seen in relation to others (data.sampling); None: all alike."""

    def steps_per_epoch(self, params: TrainParams) -> int:
        """The number of steps in which as many samples are seen as there are."""
        return len(batch_bounds(len(self.train), params.batch_size))


def _load(
    order: np.ndarray,
    make: Callable[[int], Sample],
    params: TrainParams,
    group: ProcessGroup,
    *,
    first_step: int = 0,
    equal_parts: bool = False,
) -> Iterator[list[Batch]]:
    """This process's share of each batch, on the device, in parts of at most `device_batch` samples.

    With `equal_parts` every process has the same number of them.
    """
    batches = batch_bounds(len(order), params.batch_size)[first_step:]
    shares = shared_batches(order, params.batch_size, first_step=first_step, rank=group.rank, world=group.world_size)
    pinned, most = group.device.type == "cuda", params.device_batch

    def parts() -> Iterator[list[Batch]]:
        loaded = load_batches(shares, make, threads=default_threads(group.local_world_size))
        for (start, stop), samples in zip(batches, loaded, strict=True):
            largest = -(-(stop - start) // group.world_size) if equal_parts else len(samples)
            bounds = part_bounds(len(samples), most=most, largest=largest)
            yield [collate(samples[first:end], pinned=pinned) for first, end in bounds]

    return on_device(parts(), group.device)


def _sample_maker(
    data: TrainData, reader: ShardReader, augment: AugmentParams | None, *seed: int
) -> Callable[[int], Sample]:
    """Makes the sample at a place of `sample_order`; its random numbers depend on `seed` and the place only."""

    def make(index: int) -> Sample:
        record, jpeg = reader[index % len(reader)]
        rng = np.random.default_rng([*seed, index])
        return make_sample(record, jpeg, canvas=data.canvas, augment=augment, rng=rng, vocabulary=reader.vocabulary)

    return make


def _means(stepper: Stepper, sums: Sequence[float], steps: int) -> dict[str, float]:
    return {name: value / steps for name, value in zip(stepper.loss_names, sums, strict=True)}


def validate(stepper: Stepper, data: TrainData) -> dict[str, float]:
    """The mean losses of the kept weights over the unaugmented validation set, which all processes share."""
    group, detector = stepper.group, stepper.kept
    group.broadcast_buffers(detector)
    was_training = detector.training
    detector.eval()
    order, make = np.arange(len(data.validation)), _sample_maker(data, data.validation, None)
    sums = torch.zeros(len(stepper.loss_names), dtype=torch.float64, device=group.device)
    for parts in _load(order, make, stepper.params, group):
        sums += stepper.measure(parts)
    detector.train(was_training)
    return _means(stepper, group.sum(sums).tolist(), len(batch_bounds(len(order), stepper.params.batch_size)))


def fit(
    stepper: Stepper,
    data: TrainData,
    state: TrainState,
    *,
    stop: StopSignal,
    after_step: Callable[[TrainState], None],
    measure: Callable[[Stepper], dict[str, float | None]],
) -> Iterator[EpochReport]:
    """Train from `state` to the last epoch; yields one report per epoch.

    `state` is kept up to date, and `after_step` called, after every step; on a GPU after every tenth (READ_EVERY) and
    the last of an epoch. `measure` gives box AP and landmark AP of the kept weights; it is called after every
    `evaluate_every`-th epoch and after the last.

    Raises StoppedError where a process was told to end, DeepmarkError where a loss is not finite, where no step of the
    run could be applied, and where a batch has no image for some process.
    """
    params = stepper.params
    check_shares(len(data.train), params.batch_size, processes=stepper.group.world_size)
    stepper.detector.train()
    for epoch in range(state.epoch, params.epochs):
        with stop.deferred():
            _train_epoch(stepper, data, state, stop, after_step)
        if state.without_loss == state.step:
            raise DeepmarkError(
                f"epoch {epoch + 1}: the loss of none of its {state.step} steps is a number. Lower train.learning_rate "
                "or take another train.precision, and go back: `deepmark train --fresh`."
            )
        train = _means(stepper, state.loss_sums, state.step - state.without_loss)
        is_evaluated = _is_due(params.evaluate_every, epoch, params)
        needs_loss = is_evaluated and params.best_by == "loss"
        measured: dict[str, float | None] = {}
        validation = validate(stepper, data) if needs_loss or _is_due(params.validate_every, epoch, params) else {}
        if validation and not math.isfinite(validation["total"]):
            raise DeepmarkError(
                f"epoch {epoch + 1}: the validation loss is not a number, though the training loss is "
                f"({train['total']:.4g}). Lower train.learning_rate or take another train.precision, and go back: "
                "`deepmark train --fresh`."
            )
        if is_evaluated:
            measured = measure(stepper)
            if stepper.group.is_first:
                state.best = update_best(state.best, epoch, {**measured, "loss": validation.get("total")}, stepper)
        steps = data.steps_per_epoch(params)
        report = EpochReport(
            epoch=epoch + 1,
            train=train,
            validation=validation,
            measured=measured,
            learning_rate=learning_rate(params, step=(epoch + 1) * steps - 1, steps_per_epoch=steps),
            steps=state.step,
            skipped=state.skipped,
            weight_norm=weight_norm(stepper.detector),
            seconds=state.seconds,
            samples_per_second=state.samples / state.seconds,
            waiting=state.waited / state.seconds,
        )
        state.finish_epoch(report)
        yield report
    steps = params.epochs * data.steps_per_epoch(params)
    if sum(epoch["skipped"] for epoch in state.history) == steps:
        raise DeepmarkError(
            f"all {steps} steps were left out, so the weights are those of the start. {advice(stepper)}"
        )


def _is_due(every: int, epoch: int, params: TrainParams) -> bool:
    """Whether what is done every so many epochs, and after the last, is done after this one, counted from 0."""
    return every > 0 and ((epoch + 1) % every == 0 or epoch + 1 == params.epochs)


def _train_epoch(
    stepper: Stepper, data: TrainData, state: TrainState, stop: StopSignal, after_step: Callable[[TrainState], None]
) -> None:
    """Train from `state` to the end of its epoch."""
    params, epoch, first = stepper.params, state.epoch, state.step
    steps = data.steps_per_epoch(params)
    order = sample_order(len(data.train), seed=params.seed, epoch=epoch, factors=data.repeat_factors)
    make = _sample_maker(data, data.train, data.augment, params.seed, epoch)
    loaded = _load(order, make, params, stepper.group, first_step=first, equal_parts=params.sync_batch_norm)
    every = min(READ_EVERY[stepper.group.device.type], params.checkpoint_steps or steps)
    started, unread = time.perf_counter(), list[tuple[list[int], PendingStep]]()
    for number, batch in enumerate(shared_batches(order, params.batch_size, first_step=first), first + 1):
        asked = time.perf_counter()
        parts = next(loaded)
        state.waited += time.perf_counter() - asked
        rate = learning_rate(params, step=epoch * steps + number - 1, steps_per_epoch=steps)
        unread.append((batch, stepper.begin(parts, rate, stop=stop.is_received)))
        if number % every and number != steps:
            continue
        stops, unread = _read(stepper, data, state, unread), []
        state.seconds, started = state.seconds + time.perf_counter() - started, time.perf_counter()
        after_step(state)
        if stops:
            raise StoppedError


def _read(stepper: Stepper, data: TrainData, state: TrainState, steps: list[tuple[list[int], PendingStep]]) -> bool:
    """Count steps of this epoch, given with their batches; returns whether any process was told to end."""
    results = stepper.read([pending for _, pending in steps])
    for (batch, _), result in zip(steps, results, strict=True):
        state.count(result)
        state.samples += len(batch)
        if not result.is_finite:
            place, in_a_row = f"epoch {state.epoch + 1}, step {state.step}", state.skipped_in_a_row
            images = [data.train.key(index % len(data.train)) for index in batch]
            handle_skipped_step(stepper, result, place=place, images=images, in_a_row=in_a_row)
    return any(result.stop for result in results)
