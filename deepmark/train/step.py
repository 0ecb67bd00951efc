"""One training step on a batch, in one process or in many."""

import math
import os
import shutil
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from deepmark.errors import DeepmarkError
from deepmark.model.autocast import autocast_dtype, number_format
from deepmark.model.detector import Detector
from deepmark.model.heads import HEADS, GatheredHeads
from deepmark.params import LossWeights, TrainParams
from deepmark.shapes import Bool, Float, Float64
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.distributed.sync_batch_norm import sync_batch_norm
from deepmark.train.distributed.torch_internals import tensor_norms, update_loss_scale
from deepmark.train.loss import Losses, loss_names, losses, mean_losses
from deepmark.train.loss_targets import LossTargets, loss_targets
from deepmark.train.optim import build_average, step_if, update_average
from deepmark.train.targets import Batch, make_targets


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """The result of a step, the same on all processes."""

    losses: list[float]
    """The total of the whole batch and its weighted parts, in the order of `Stepper.loss_names`."""

    is_finite: bool
    """Whether losses and gradient are finite; if not, weights, average and statistics are unchanged."""

    bad_gradients: tuple[str, ...] = ()
    """The heads whose gradient is not finite, by their names; else "backbone", if its gradient is not."""

    stop: bool
    """Whether any process was told to end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingStep:
    """A step that the device may still be working on."""

    sums: Float64[Tensor, " s"]
    """Over all processes: the total of the losses and its parts, the norm of the gradient, and how many processes were
    told to end."""

    weights: Sequence[Tensor]
    gradient_norms: Float[Tensor, " w"]
    """Of each of these weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stepper:
    """A detector with all that a training step needs."""

    detector: Detector
    model: nn.Module
    """The detector, or the detector inside DistributedDataParallel."""

    average: AveragedModel | None
    """The moving average of the weights."""

    teacher: Detector | None
    """The larger network whose maps are learnt from, too."""

    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    params: TrainParams
    group: ProcessGroup

    @property
    def kept(self) -> Detector:
        """The detector whose weights are validated and kept: the average, or, without one, the detector itself."""
        return cast(Detector, self.average.module) if self.average is not None else self.detector

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The total and its parts."""
        return loss_names(self.params.loss_weights)

    def step(self, parts: Sequence[Batch], rate: float, *, stop: bool = False) -> StepResult:
        """The same as `begin`, and its result, for which this process waits."""
        (result,) = self.read([self.begin(parts, rate, stop=stop)])
        return result

    def begin(self, parts: Sequence[Batch], rate: float, *, stop: bool = False) -> PendingStep:
        """One step of the optimiser for this process's share of a batch, whose images are on the group's device.

        The share may be split into parts that fit the device: their gradients are added up, and batch normalisation
        sees each part by itself. `stop` says that this process was told to end, and is passed on to all processes.

        Nothing here waits for the device, which decides itself whether the step is applied.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        may_skip = self.params.not_finite == "skip" or self.scaler.is_enabled()
        statistics = [buffer.clone() for buffer in self.detector.buffers()] if may_skip else []
        total = self._backward(parts)
        self.scaler.unscale_(self.optimizer)
        weights = [weight for weight in self.model.parameters() if weight.grad is not None]
        norms = tensor_norms([weight.grad for weight in weights if weight.grad is not None])
        norm = torch.linalg.vector_norm(norms)
        sums = self.group.sum(torch.cat([total, norm.double()[None], torch.full_like(total[:1], float(stop))]))
        has_losses, is_finite = sums[:-2].isfinite().all(), sums[:-1].isfinite().all()
        if self.params.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(weights, self.params.clip_norm, norm)
        step_if(self.optimizer, is_finite)
        if may_skip:
            self._restore_statistics(statistics, unless=is_finite)
        if self.average is not None:
            update_average(self.average, self.detector, cast(float, self.params.ema), is_finite)
        if self.scaler.is_enabled():
            # the scale falls where the gradient overflowed, but not where the losses themselves are not finite
            update_loss_scale(self.scaler, has_losses)
        return PendingStep(sums=sums, weights=weights, gradient_norms=norms)

    def read(self, pending: Sequence[PendingStep]) -> list[StepResult]:
        """The results of steps, for which this process waits until the device is done with the last of them."""
        results = []
        for each, values in zip(pending, torch.stack([each.sums for each in pending]).tolist(), strict=True):
            *sums, norm, stops = values
            is_finite = all(map(math.isfinite, [*sums, norm]))
            bad = () if is_finite else self._bad_gradients(each)
            results.append(StepResult(losses=sums, is_finite=is_finite, bad_gradients=bad, stop=stops > 0))
        return results

    def _backward(self, parts: Sequence[Batch]) -> Tensor:
        """Compute the gradients of the whole batch; returns this process's share of the losses."""
        total = torch.zeros(len(self.loss_names), dtype=torch.float64, device=self.group.device)
        targets, counts = self._targets(parts)
        for number, (part, target) in enumerate(zip(parts, targets, strict=True), start=1):
            with self._gradient_sync(number == len(parts)):
                part_losses = self._losses(part, target, counts, self.model)
                # DistributedDataParallel averages gradients; the losses are already shares of a global mean
                self.scaler.scale(part_losses.total * self.group.world_size).backward()
            total += _stacked(part_losses, self.params.loss_weights)
        return total

    def _targets(self, parts: Sequence[Batch]) -> tuple[list[LossTargets], Tensor]:
        """The targets of each part, and their number in the whole batch, over all processes."""
        targets = [self.loss_targets(part) for part in parts]
        counts = [target.counts for target in targets] or [torch.zeros(2, device=self.group.device)]
        return targets, self.group.sum(torch.stack(counts).sum(dim=0))

    def loss_targets(self, batch: Batch) -> LossTargets:
        """The targets of a batch on the group's device."""
        targets = make_targets(batch, self.detector.vocabulary, landmark_radius=self.params.landmark_radius)
        channels = self.params.landmark_channels
        return loss_targets(targets, self.detector.layout, landmark_channels=channels).to(self.group.device)

    def _gradient_sync(self, last: bool) -> AbstractContextManager:
        """Let the processes exchange their gradients once per step, after the last part."""
        waits = isinstance(self.model, DistributedDataParallel) and not last
        return cast(DistributedDataParallel, self.model).no_sync() if waits else nullcontext()

    def _bad_gradients(self, pending: PendingStep) -> tuple[str, ...]:
        """The heads whose gradient is not finite, else the backbone; each of them spoils that of the backbone."""
        names = {id(weight): name for name, weight in self.detector.named_parameters()}
        finite = pending.gradient_norms.isfinite().tolist()
        spoilt = [names[id(weight)] for weight, is_ok in zip(pending.weights, finite, strict=True) if not is_ok]
        bad = [head for head in HEADS if any(f".{head}." in name for name in spoilt)]
        return tuple(bad or ["backbone"] * bool(spoilt))

    @torch.no_grad()
    def _restore_statistics(self, statistics: Sequence[Tensor], *, unless: Bool[Tensor, ""]) -> None:
        """Restore the running statistics of batch normalisation, which the batch has already changed."""
        for buffer, before in zip(self.detector.buffers(), statistics, strict=True):
            torch.where(unless, buffer, before, out=buffer)

    def _losses(self, batch: Batch, targets: LossTargets, counts: Tensor, model: nn.Module) -> Losses:
        dtype = autocast_dtype(self.params.precision, self.group.device)
        images = self.detector.normalize(batch.images)
        if not self.params.channels_last:
            images = images.contiguous()
        with nullcontext() if dtype is None else torch.autocast(self.group.device.type, dtype):
            stacks, taught = model(images, gather_at=targets.cells), self._taught(batch, targets)
        return mean_losses(
            losses(heads, targets, weights=self.params.loss_weights, counts=counts, taught=taught) for heads in stacks
        )

    @torch.no_grad()
    def _taught(self, batch: Batch, targets: LossTargets) -> GatheredHeads | None:
        """What the last stack of the teacher sees in the same images."""
        if self.teacher is None:
            return None
        return self.teacher(self.teacher.normalize(batch.images), gather_at=targets.cells)[-1]

    @torch.no_grad()
    def measure(self, parts: Sequence[Batch]) -> Tensor:
        """This process's share of the losses of a batch by the kept weights, without training; 0 without images."""
        targets, counts = self._targets(parts)
        results = [self._losses(*each, counts, self.kept) for each in zip(parts, targets, strict=True)]
        shares = [_stacked(result, self.params.loss_weights) for result in results]
        shares = shares or [torch.zeros(len(self.loss_names), dtype=torch.float64, device=self.group.device)]
        return torch.stack(shares).sum(dim=0)


def _stacked(parts: Losses, weights: LossWeights) -> Tensor:
    weighted = [loss * getattr(weights, name, 1.0) for name, loss in parts.parts.items()]
    return torch.stack(weighted).detach().double()


def make_stepper(
    detector: Detector,
    optimizer: torch.optim.Optimizer,
    params: TrainParams,
    group: ProcessGroup,
    *,
    teacher: Detector | None = None,
) -> Stepper:
    """The stepper for `fit`, on the group's device.

    Raises DeepmarkError where `compile` is set and there is no compiler.
    """
    is_cuda = group.device.type == "cuda"
    if params.sync_batch_norm and group.world_size > 1:
        sync_batch_norm(detector)
    average = build_average(detector) if params.ema is not None else None
    if params.compile:
        _compile(detector.backbone)
    model: nn.Module = detector
    if group.world_size > 1:
        # about 1x1 weights, whose sides of length 1 may have any stride
        warnings.filterwarnings("ignore", "Grad strides do not match")
        devices = [group.device.index] if is_cuda else None
        # gradients lie where they are exchanged, not twice in memory: 81 MB less for DLA-34
        model = DistributedDataParallel(detector, device_ids=devices, gradient_as_bucket_view=True)
    scaler = torch.amp.GradScaler(
        group.device.type, enabled=is_cuda and number_format(params.precision, group.device) == "fp16"
    )
    return Stepper(
        detector=detector,
        model=model,
        average=average,
        teacher=teacher,
        optimizer=optimizer,
        scaler=scaler,
        params=params,
        group=group,
    )


def _compile(backbone: nn.Module) -> None:
    """Compile the backbone only: its shapes never change, those of the heads do with the number of garments."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None and shutil.which("clang++") is None:
        raise DeepmarkError(
            f"params.yaml: train: compile needs a C++ compiler, and there is no {compiler}. Install one, or set it to "
            "false."
        )
    backbone.compile()
