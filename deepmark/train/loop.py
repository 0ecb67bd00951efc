"""The training loop: batches in, a better detector and one report an epoch out.

A step is a pure function of the weights, the seed and the step's number, so a run that was cut off goes on exactly.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from deepmark.data.augment import make_sample
from deepmark.data.loader import default_threads, load_batches
from deepmark.data.stream import ShardReader, batch_bounds, sample_order
from deepmark.errors import DeepmarkError
from deepmark.model.detector import Detector
from deepmark.model.precision import autocast_dtype
from deepmark.params import AugmentParams, LossWeights, TrainParams
from deepmark.train.distributed import Group
from deepmark.train.loss import Losses, losses, mean_losses
from deepmark.train.optim import learning_rate
from deepmark.train.targets import Batch, collate, make_targets
from deepmark.types import Sample

LOSS_NAMES = tuple(part.name for part in fields(Losses))
"""The total and its six parts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochReport:
    """What an epoch was like."""

    epoch: int
    """From 0."""

    train: dict[str, float]
    validation: dict[str, float]
    """Mean over the steps of the total loss and of each part, weighted."""

    learning_rate: float
    """At its last step."""

    seconds: float
    samples_per_second: float
    waiting: float
    """Share of the time in which the device waited for samples; both over this process's part since its start."""


@dataclass(kw_only=True, slots=True)
class Position:
    """How far a run has come; with the weights and the optimiser it is all that is needed to go on."""

    epoch: int = 0
    step: int = 0
    """Steps done inside the epoch."""

    loss_sums: Tensor = field(default_factory=lambda: torch.zeros(len(LOSS_NAMES), dtype=torch.float64))
    """Of this epoch's steps, over all processes; on the device, so that counting does not wait for it."""

    history: list[dict] = field(default_factory=list)
    """The reports of the finished epochs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stepper:
    """A detector with what it takes to move it one step."""

    detector: Detector
    model: nn.Module
    """The detector, or the detector inside DistributedDataParallel."""

    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    params: TrainParams
    group: Group

    def _losses(self, batch: Batch, model: nn.Module) -> Losses:
        batch = batch.to(self.group.device)
        targets = make_targets(batch)
        counts = self.group.sum(targets.counts)
        dtype = autocast_dtype(self.params.precision, self.group.device)
        with torch.autocast(self.group.device.type, dtype, enabled=dtype is not None):
            stacks = model(self.detector.normalize(batch.images), at=targets.cells)
        return mean_losses(
            losses(
                readings,
                targets,
                weights=self.params.loss_weights,
                counts=counts,
                landmark_channels=self.params.landmark_channels,
            )
            for readings in stacks
        )

    def step(self, batch: Batch, rate: float) -> Tensor:
        """One step of the optimiser; returns this process's share of the total loss and its parts."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        parts = self._losses(batch, self.model)
        # DistributedDataParallel takes the mean of the gradients; the losses are shares of a global mean already
        self.scaler.scale(parts.total * self.group.world).backward()
        if self.params.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.params.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return _stacked(parts, self.params.loss_weights)

    @torch.no_grad()
    def measure(self, batch: Batch) -> Tensor:
        """This process's share of the losses, nothing learnt."""
        return _stacked(self._losses(batch, self.detector), self.params.loss_weights)


def _stacked(parts: Losses, weights: LossWeights) -> Tensor:
    weighted = [getattr(parts, name) * getattr(weights, name, 1.0) for name in LOSS_NAMES]
    return torch.stack(weighted).detach().double()


def make_stepper(detector: Detector, optimizer: torch.optim.Optimizer, params: TrainParams, group: Group) -> Stepper:
    """Everything `fit` moves, on the group's device."""
    is_cuda = group.device.type == "cuda"
    model: nn.Module = detector
    if group.world > 1:
        model = DistributedDataParallel(detector, device_ids=[group.device.index] if is_cuda else None)
    scaler = torch.amp.GradScaler(group.device.type, enabled=is_cuda and params.precision == "fp16")
    return Stepper(detector=detector, model=model, optimizer=optimizer, scaler=scaler, params=params, group=group)


def _load(batches: list[np.ndarray], make: Callable[[int], Sample], group: Group) -> Iterator[Batch]:
    shares = (batch[group.rank :: group.world].tolist() for batch in batches)
    for samples in load_batches(shares, make, threads=default_threads(group.local_world)):
        yield collate(samples)


def _sampler(
    reader: ShardReader, canvas: tuple[int, int], augment: AugmentParams | None, seed: int, epoch: int
) -> Callable[[int], Sample]:
    def make(index: int) -> Sample:
        record, jpeg = reader[index]
        return make_sample(
            record, jpeg, canvas=canvas, augment=augment, rng=np.random.default_rng([seed, epoch, index])
        )

    return make


def steps_in_epoch(samples: int, batch_size: int) -> int:
    """Enough steps for every sample to be seen once."""
    return len(batch_bounds(samples, batch_size))


def _batches(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    bounds = batch_bounds(len(order), batch_size)
    return [order[start:stop] for start, stop in bounds]


def _means(sums: Tensor, steps: int) -> dict[str, float]:
    return dict(zip(LOSS_NAMES, (sums / max(1, steps)).tolist(), strict=True))


def validate(stepper: Stepper, reader: ShardReader, canvas: tuple[int, int]) -> dict[str, float]:
    """The mean losses over a split, unaugmented, all processes sharing the work."""
    stepper.group.share_buffers(stepper.detector)
    stepper.detector.eval()
    batches = _batches(np.arange(len(reader)), stepper.params.batch_size)
    sums = torch.zeros(len(LOSS_NAMES), dtype=torch.float64, device=stepper.group.device)
    for batch in _load(batches, _sampler(reader, canvas, None, 0, 0), stepper.group):
        sums += stepper.measure(batch)
    stepper.detector.train()
    return _means(stepper.group.sum(sums), len(batches))


def fit(
    stepper: Stepper,
    train: ShardReader,
    validation: ShardReader,
    *,
    canvas: tuple[int, int],
    augment: AugmentParams,
    position: Position,
    after_step: Callable[[Position], None],
) -> Iterator[EpochReport]:
    """Train from `position` to the last epoch; one report an epoch.

    `position` is kept up to date; `after_step` is called after every step.

    Raises DeepmarkError where the loss stops being a number.
    """
    stepper.detector.train()
    for epoch in range(position.epoch, stepper.params.epochs):
        started = time.perf_counter()
        samples, waited, rate = _train_epoch(stepper, train, canvas, augment, position, after_step)
        means = _means(position.loss_sums, position.step)
        if not all(map(math.isfinite, means.values())):
            raise DeepmarkError(
                f"epoch {epoch + 1}: the loss is not a number any more ({means}). Lower train.learning_rate, set "
                "train.clip_norm, or take train.precision bf16 or fp32."
            )
        seconds = time.perf_counter() - started
        report = EpochReport(
            epoch=epoch,
            train=means,
            validation=validate(stepper, validation, canvas),
            learning_rate=rate,
            seconds=seconds,
            samples_per_second=samples / seconds,
            waiting=waited / seconds,
        )
        position.epoch, position.step = epoch + 1, 0
        position.loss_sums = torch.zeros_like(position.loss_sums)
        position.history.append(asdict(report))
        yield report


def _train_epoch(
    stepper: Stepper,
    train: ShardReader,
    canvas: tuple[int, int],
    augment: AugmentParams,
    position: Position,
    after_step: Callable[[Position], None],
) -> tuple[int, float, float]:
    """From `position` to the end of its epoch: samples seen, seconds waited for them, the last learning rate."""
    params, group, epoch = stepper.params, stepper.group, position.epoch
    steps = steps_in_epoch(len(train), params.batch_size)
    order = sample_order(len(train), seed=params.seed, epoch=epoch)
    batches = _batches(order, params.batch_size)[position.step :]
    loaded = _load(batches, _sampler(train, canvas, augment, params.seed, epoch), group)
    position.loss_sums = position.loss_sums.to(group.device)
    waited, rate = 0.0, 0.0
    while True:
        asked = time.perf_counter()
        batch = next(loaded, None)
        waited += time.perf_counter() - asked
        if batch is None:
            return sum(map(len, batches)), waited, rate
        rate = learning_rate(params, step=epoch * steps + position.step, steps_per_epoch=steps)
        position.loss_sums = position.loss_sums + group.sum(stepper.step(batch, rate))
        position.step += 1
        after_step(position)
