"""The optimiser, its learning rate schedule, and the moving average of the weights."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from deepmark.params import TrainParams
from deepmark.shapes import Bool
from deepmark.train.distributed.torch_internals import move_towards
from deepmark.train.muon import Muon, hidden_matrices


def build_optimizer(detector: nn.Module, params: TrainParams) -> torch.optim.Optimizer:
    """Adam, AdamW or Muon over all parameters, without weight decay for biases and normalisation.

    Its learning rate is 0 until `Stepper.step` sets the one of each step.
    """
    weights = [weight for weight in detector.parameters() if weight.requires_grad]
    matrices = hidden_matrices(detector) if params.optimizer == "muon" else []
    inside = set(map(id, matrices))
    groups: list[dict[str, Any]] = [
        {
            "params": [weight for weight in weights if weight.ndim > 1 and id(weight) not in inside],
            "weight_decay": params.weight_decay,
        },
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    if matrices:
        groups.append({"params": matrices, "weight_decay": params.weight_decay, "orthogonal": True})
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "muon": Muon}[params.optimizer]
    return kind(groups, lr=0.0, fused=True)


def learning_rate(params: TrainParams, *, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step, counted from 0 over the whole run.

    The schedule "steps" changes it after so many epochs (milestones), "cosine" lets it fall to 0 at the end. Both start
    with a linear warm-up.
    """
    total = params.epochs * steps_per_epoch
    warm = params.warmup * total
    if step < warm:
        return params.learning_rate * (step + 1) / (math.ceil(warm) + 1)
    if params.schedule == "cosine":
        return params.learning_rate * (1 + math.cos(math.pi * (step - warm) / max(1.0, total - warm))) / 2
    reached = [epoch for epoch in params.milestones if epoch <= step // steps_per_epoch]
    return params.milestones[max(reached)] if reached else params.learning_rate


def step_if(optimizer: torch.optim.Optimizer, apply: Bool[Tensor, ""]) -> None:
    """A step of an optimiser of `build_optimizer`, or none: its device decides, and this process does not wait for it.

    It is told as torch's GradScaler tells it to fused optimisers.
    """
    optimizer.found_inf, optimizer.grad_scale = (~apply).float(), None  # type: ignore[attr-defined]
    optimizer.step()


@torch.no_grad()
def weight_norm(detector: nn.Module) -> float:
    """The L2 norm of all weights."""
    norms = [torch.linalg.vector_norm(weight, dtype=torch.float64) for weight in detector.parameters()]
    return float(torch.linalg.vector_norm(torch.stack(norms)))


def build_average(detector: nn.Module) -> AveragedModel:
    """A moving average of weights and running statistics, which are those of the detector until the first step."""
    return AveragedModel(detector, device=next(detector.parameters()).device, use_buffers=True)


@torch.no_grad()
def update_average(average: AveragedModel, detector: nn.Module, decay: float, apply: Bool[Tensor, ""]) -> None:
    """Count one more step in the average, or leave it as it is: after n steps it keeps min(decay, (1 + n) / (10 + n)).

    The smaller decay of the first steps lets it forget the start values, which would otherwise take 1 / (1 - decay)
    steps. The first step's weights replace them.
    """
    done = average.n_averaged.double()
    share = ((1 + done) / (10 + done)).clamp(max=decay).where(done > 0, 0.0).where(apply, 1.0)
    kept, new = share.float(), (1 - share).float()
    averages = [*average.module.parameters(), *average.module.buffers()]
    pairs = list(zip(averages, [*detector.parameters(), *detector.buffers()], strict=True))
    floats = [pair for pair in pairs if pair[0].is_floating_point()]
    move_towards([mean for mean, _ in floats], [value for _, value in floats], new)
    for counter, value in pairs:
        if not counter.is_floating_point():
            counter.copy_(counter * kept + value * new)
    average.n_averaged += apply
