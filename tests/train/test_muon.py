"""Muon changes matrices along orthogonal directions, and everything else as AdamW does."""

import copy
import re

import pytest
import torch
from torch import nn

from deepmark.model.detector import build_detector
from deepmark.params import load_params, model_params
from deepmark.train.muon import Muon, hidden_matrices, orthogonalized
from deepmark.train.optim import build_optimizer
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file

RATE = 1e-2


@pytest.mark.parametrize("shape", [(16, 144), (96, 32), (40, 40)])
def test_singular_values_are_about_one_and_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalized(matrix)

    inner = u.T @ found @ v.T
    values = inner.diagonal()
    assert values.min() > 0.3
    assert values.max() < 1.3
    assert (inner - values.diag()).abs().max() < 1e-3


def test_the_size_of_a_matrix_does_not_matter_and_nothing_stays_nothing():
    matrix = torch.randn(8, 20, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(orthogonalized(1e-8 * matrix), orthogonalized(matrix), atol=1e-4, rtol=1e-4)
    assert not orthogonalized(torch.zeros(8, 20)).any()


OUTPUTS = r"(earlier_heads\.0|heads)\.\w+\.2\.weight"
READS_PIXELS = {
    "mobile": r"backbone\.stem\.0\.weight",
    "dla34": r"backbone\.base\.base_layer\.0\.weight",
    "hourglass104": r"backbone\.pre\.0\.conv\.weight",
}
OFFSETS_AND_SINGLE_CHANNELS = r"backbone\..*(\.conv_offset_mask|\.up_\d)\.weight"


@pytest.mark.parametrize("backbone", READS_PIXELS)
def test_all_convolutions_between_features_are_matrices(backbone):
    with torch.device("meta"):
        detector = build_detector(model_params(backbone=backbone, input_size=(128, 128)), DEEPFASHION2, seed=None)
    inside = set(map(id, hidden_matrices(detector)))
    named = [(name, id(weight)) for name, weight in detector.named_parameters() if weight.ndim > 1]
    left_out = re.compile("|".join([OUTPUTS, READS_PIXELS[backbone], OFFSETS_AND_SINGLE_CHANNELS]))
    assert [name for name, weight in named if weight not in inside] == [
        name for name, _ in named if left_out.fullmatch(name)
    ]
    assert len(inside) > 0.6 * len(named) or backbone == "dla34"


class Net(nn.Module):
    """Two convolutions, of which the first reads pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)


@pytest.fixture
def nets() -> dict[str, tuple[Net, torch.optim.Optimizer]]:
    """The same network with the same gradients after one step of AdamW and of Muon."""
    train = load_params(profile_file("modern")).train
    torch.manual_seed(3)
    start = Net()
    gradients = [torch.randn_like(weight) for weight in start.parameters()]
    made = {}
    for name in ("adamw", "muon"):
        net = copy.deepcopy(start)
        optimizer = build_optimizer(net, train.model_copy(update={"optimizer": name, "weight_decay": 0.0}))
        for weight, gradient in zip(net.parameters(), gradients, strict=True):
            weight.grad = gradient.clone()
        for group in optimizer.param_groups:
            group["lr"] = RATE
        optimizer.step()
        made[name] = (net, optimizer)
    return made


def test_other_weights_learn_as_by_adamw(nets):
    adamw, muon = nets["adamw"][0], nets["muon"][0]
    assert torch.equal(adamw.first.weight, muon.first.weight)
    assert torch.equal(adamw.second.bias, muon.second.bias)
    assert not torch.equal(adamw.second.weight, muon.second.weight)


def test_a_matrix_changes_by_its_learning_rate_alone(nets):
    """Its change is 0.2 learning rates in root mean square, whatever the gradient's size."""
    torch.manual_seed(3)
    change = nets["muon"][0].second.weight - Net().second.weight
    assert 0.5 * 0.2 * RATE < change.square().mean().sqrt() < 1.3 * 0.2 * RATE


def test_its_state_can_be_stored_and_loaded(nets):
    net, optimizer = nets["muon"]
    assert isinstance(optimizer, Muon)
    again = copy.deepcopy(net)
    other = build_optimizer(again, load_params(profile_file("modern")).train.model_copy(update={"optimizer": "muon"}))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, by in ((net, optimizer), (again, other)):
        for weight in one.parameters():
            weight.grad = torch.ones_like(weight)
        by.step()
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
