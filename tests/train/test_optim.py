"""The learning rate follows its schedule; a device decides whether a step is applied, and averaged."""

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from deepmark.params import TrainParams, load_params
from deepmark.train.optim import build_average, build_optimizer, learning_rate, step_if, update_average
from deepmark.workspace.init import profile_file

YES, NO = torch.tensor(True), torch.tensor(False)


@pytest.fixture
def paper() -> TrainParams:
    return load_params(profile_file("paper")).train


def rates(params: TrainParams, steps_per_epoch: int = 10) -> list[float]:
    return [
        learning_rate(params, step=step, steps_per_epoch=steps_per_epoch)
        for step in range(params.epochs * steps_per_epoch)
    ]


def test_the_papers_schedule_is_fifty_epochs_then_three_then_ten(paper):
    by_epoch = rates(paper)[::10]
    assert by_epoch == [3e-4] * 50 + [3e-5] * 3 + [1e-5] * 10


def test_milestones_take_effect_with_the_first_step_of_their_epoch(paper):
    assert rates(paper)[499:501] == [3e-4, 3e-5]


def test_warm_up_rises_to_the_learning_rate_and_cosine_falls_to_nothing(paper):
    params = paper.model_copy(update={"schedule": "cosine", "warmup": 0.1, "epochs": 20})
    values = rates(params)
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert top == 20
    assert values[top] == pytest.approx(3e-4)
    assert values[0] < 3e-5
    assert values[-1] < 3e-7


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 5, 1))


def learn(network: nn.Module, *, seed: int) -> None:
    """Other gradients, and other running statistics."""
    generator = torch.Generator().manual_seed(seed)
    network.zero_grad()
    network(torch.randn(3, 4, 8, 8, generator=generator)).square().mean().backward()


def everything(network: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    states = optimizer.state_dict()["state"].values()
    return [each.clone() for each in (*network.state_dict().values(), *(v for one in states for v in one.values()))]


@pytest.mark.parametrize("kind", ["adam", "adamw", "muon"])
def test_a_step_that_is_not_to_be_applied_changes_nothing_and_one_that_is_equals_a_plain_one(paper, kind):
    params = paper.model_copy(update={"optimizer": kind, "weight_decay": 0.1})
    networks = small_network(), small_network()
    ours, plain = optimizers = [build_optimizer(network, params) for network in networks]
    for group in (*ours.param_groups, *plain.param_groups):
        group["lr"] = 1e-2
    for seed in range(3):
        for network in networks:
            learn(network, seed=seed)
        step_if(ours, YES)
        plain.step()
    same = [everything(*pair) for pair in zip(networks, optimizers, strict=True)]
    for weight in networks[0].parameters():
        weight.grad.fill_(torch.nan)
    step_if(ours, NO)

    assert all(torch.equal(a, b) for a, b in zip(*same, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(same[0], everything(networks[0], ours), strict=True))


def test_the_average_is_that_of_torch_bit_for_bit_and_leaves_out_what_was_not_applied():
    def update(averages: Any, weights: Any, done: Any) -> None:
        get_ema_multi_avg_fn(min(0.7, (1 + int(done)) / (10 + int(done))))(averages, weights, done)

    network = small_network()
    average, wanted = build_average(network), AveragedModel(network, multi_avg_fn=update, use_buffers=True)
    for seed, apply in enumerate([NO, YES, YES, NO, *[YES] * 20]):
        learn(network, seed=seed)
        with torch.no_grad():
            for weight in network.parameters():
                weight.sub_(weight.grad, alpha=0.1)
        before = copy.deepcopy(average.state_dict())
        update_average(average, network, 0.7, apply)
        if apply:
            wanted.update_parameters(network)
        else:
            assert all(torch.equal(before[name], value) for name, value in average.state_dict().items())
        assert average.state_dict().keys() == wanted.state_dict().keys()
        for name, value in average.state_dict().items():
            assert torch.equal(value, wanted.state_dict()[name]), name
