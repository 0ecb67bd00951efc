"""The optimiser, its learning rate schedule, and the moving average of the weights."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel, get_ema_multi_avg_fn

from deepmark.params import TrainParams
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


def build_average(detector: nn.Module, decay: float) -> AveragedModel:
    """A moving average of weights and running statistics: after n steps it keeps min(decay, (1 + n) / (10 + n)).

    The smaller decay of the first steps lets it forget the start values, which would otherwise take 1 / (1 - decay)
    steps.
    """

    def update(averages: PARAM_LIST, weights: PARAM_LIST, done: Tensor | int) -> None:
        warm = (1 + int(done)) / (10 + int(done))
        get_ema_multi_avg_fn(min(decay, warm))(averages, weights, done)

    return AveragedModel(detector, multi_avg_fn=update, use_buffers=True)
