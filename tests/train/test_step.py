"""Options that make a step faster do not change its result."""

import json

import numpy as np
import pytest
import torch
from one_process import ALONE
from trainings import EVERYTHING
from workspaces import SCALAR_KERNELS, run, set_params

from deepmark.data.augment import make_sample
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.train.optim import build_optimizer
from deepmark.train.start_networks import start_detector
from deepmark.train.step import Stepper, make_stepper
from deepmark.train.targets import Batch, collate
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace


def stepper_of(workspace: Workspace) -> Stepper:
    detector, params = start_detector(workspace, DEEPFASHION2, ALONE), workspace.params.train
    return make_stepper(detector, build_optimizer(detector, params), params, ALONE)


@pytest.fixture
def batch(sharded: Workspace) -> Batch:
    reader, rng = ShardReader(sharded.shards("train")), np.random.default_rng(0)
    return collate(
        [
            make_sample(*reader[index], canvas=(64, 64), augment=None, rng=rng, vocabulary=reader.vocabulary)
            for index in range(4)
        ]
    )


@pytest.mark.slow
def test_the_order_of_maps_in_memory_changes_no_loss(sharded, batch):
    found = []
    for channels_last in (True, False):
        stepper = stepper_of(set_params(sharded, train={"channels_last": channels_last}))
        first = next(weight for weight in stepper.detector.backbone.parameters() if weight.ndim == 4)
        assert first.is_contiguous(memory_format=torch.channels_last) is channels_last
        found.append(stepper.step([batch], 1e-3).losses)

    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.slow
def test_in_bf16_the_losses_are_those_of_fp32_but_for_rounding(sharded, batch):
    exact, rough = (
        stepper_of(set_params(sharded, train={"precision": precision})).step([batch], 1e-3).losses
        for precision in ("fp32", "bf16")
    )

    assert rough != exact
    assert rough == pytest.approx(exact, rel=0.05)


@pytest.mark.slow
def test_a_gradient_that_is_too_long_is_shortened(sharded, batch):
    lengths = []
    for limit in (None, 0.5):
        stepper = stepper_of(set_params(sharded, train={"clip_norm": limit}))
        stepper.step([batch], 1e-3)
        lengths.append(torch.nn.utils.get_total_norm([weight.grad for weight in stepper.detector.parameters()]))

    assert lengths[0] > 0.5
    assert lengths[1] == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize(("optimizer", "shrinks"), [("adam", False), ("adamw", True)])
def test_adamw_shrinks_weights_that_have_no_gradient(sharded, optimizer, shrinks):
    stepper = stepper_of(set_params(sharded, train={"optimizer": optimizer, "weight_decay": 0.1}))
    weight = next(weight for weight in stepper.detector.parameters() if weight.ndim > 1)
    before = weight.detach().norm().item()
    weight.grad = torch.zeros_like(weight)
    for group in stepper.optimizer.param_groups:
        group["lr"] = 4e-3
    stepper.optimizer.step()

    assert (weight.detach().norm().item() == pytest.approx(before * (1 - 0.1 * 4e-3), rel=1e-5)) is shrinks


def test_without_a_compiler_compiling_is_refused(sharded, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)

    with pytest.raises(DeepmarkError, match=r"train: compile needs a C\+\+ compiler, and there is no g\+\+"):
        stepper_of(set_params(sharded, train={"compile": True}))


@pytest.mark.system
def test_a_compiled_network_learns_the_same(sharded, trained_once):
    """In separate processes: the shape checks of the tests cannot be compiled."""
    set_params(sharded, train=EVERYTHING | {"compile": True})
    done = run("deepmark", "train", cwd=sharded.root, **SCALAR_KERNELS)
    assert done.code == 0, done.err

    compiled, plain = (json.loads(each.training_file.read_text("utf-8"))["history"] for each in (sharded, trained_once))
    assert compiled[0]["train"]["total"] == pytest.approx(plain[0]["train"]["total"], rel=1e-2)
