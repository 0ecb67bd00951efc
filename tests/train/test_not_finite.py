"""A loss or a gradient that is not a number is named with its images; such steps can be skipped."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from one_process import ALONE, fingerprint, new_stepper, train
from trainings import mlflow_runs
from workspaces import set_params

from deepmark.data.sampling import sample_order
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.model.detector import Detector
from deepmark.train import loop
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.loop import TrainState
from deepmark.train.run import train_rank
from deepmark.train.run_id import run_folder
from deepmark.train.step import Stepper, make_stepper
from deepmark.workspace.layout import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes the network's output for the named training image NaN, and with it the loss of its batch."""
    make, normalize = loop.make_sample, Detector.normalize

    def poison(key: str) -> str:
        def make_sample(record, jpeg, **words):
            sample = make(record, jpeg, **words)
            if record.id == int(key) and words["augment"] is not None:
                sample.image[:] = 255
            return sample

        monkeypatch.setattr(loop, "make_sample", make_sample)
        return key

    def spoil(detector, images):
        bad = (images == 255).flatten(1).all(dim=1)
        return torch.where(bad[:, None, None, None], torch.nan, normalize(detector, images))

    monkeypatch.setattr(Detector, "normalize", spoil)
    return poison


def poisoned_key(workspace: Workspace) -> str:
    """The key of the first image of the second step."""
    reader = ShardReader(workspace.shards("train"))
    order = sample_order(len(reader), seed=workspace.params.train.seed, epoch=0)
    return reader.key(int(order[4]))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_images(sharded, poisoned):
    key = poisoned(poisoned_key(sharded))

    with pytest.raises(DeepmarkError, match=rf"epoch 1, step 2: the loss is not a number \(.*{key}.*learning_rate"):
        train(sharded, new_stepper(sharded), TrainState())


@pytest.mark.slow
def test_the_step_of_such_a_batch_can_be_skipped_and_leaves_no_trace(sharded, poisoned, caplog):
    workspace = set_params(sharded, train={"not_finite": "skip", "ema": 0.9})
    key = poisoned(poisoned_key(sharded))
    stepper, state, seen = new_stepper(workspace), TrainState(), []

    reports = train(workspace, stepper, state, lambda state: seen.append(fingerprint(stepper)))

    assert [report.skipped for report in reports] == [1, 1]
    assert f"Images: {key}" in caplog.text
    assert seen[1] == seen[0] != seen[2]
    assert all(value.isfinite().all() for value in stepper.detector.state_dict().values())
    assert np.isfinite(reports[0].train["total"])


@pytest.mark.parametrize("every", [2, 3])
def test_how_many_steps_are_read_together_changes_no_result(sharded, poisoned, caplog, monkeypatch, every):
    workspace = set_params(sharded, train={"not_finite": "skip", "ema": 0.9})
    key, found = poisoned(poisoned_key(sharded)), []

    for steps in (1, every):
        monkeypatch.setitem(loop.READ_EVERY, "cpu", steps)
        stepper, state, seen = new_stepper(workspace), TrainState(), list[int]()
        train(workspace, stepper, state, lambda state, seen=seen: seen.append(state.step))
        figures = [{name: epoch[name] for name in ("train", "validation", "skipped")} for epoch in state.history]
        found.append((fingerprint(stepper), figures))
        assert caplog.text.count("epoch 1, step 2: the loss is not a number") == 1
        assert f"Images: {key}" in caplog.text
        caplog.clear()
        assert seen == [*range(steps, 3, steps), 3] * 2

    assert found[0] == found[1]


def test_a_run_whose_weights_are_not_finite_stops_even_where_steps_may_be_skipped(sharded):
    workspace = set_params(sharded, train={"not_finite": "skip", "epochs": 9})
    stepper = new_stepper(workspace)
    with torch.no_grad():
        next(stepper.detector.parameters()).fill_(float("nan"))

    with pytest.raises(DeepmarkError, match=r"20 steps in a row.*--fresh"):
        train(workspace, stepper, TrainState(step=0, skipped_in_a_row=18))


def fp16_stepper(workspace: Workspace, *, scale: float = 65536.0) -> Stepper:
    """A stepper that scales the loss as under fp16 on a GPU, which a CPU can do too."""
    return replace(new_stepper(workspace), scaler=torch.amp.GradScaler("cpu", init_scale=scale))


def spoil_gradient(stepper: Stepper, when: Callable[[], bool] = lambda: True) -> None:
    """Make the gradient of the landmark heatmaps NaN, but not their loss."""
    weight = stepper.detector.heads.landmark_heatmap[2].weight
    weight.register_hook(lambda gradient: gradient * torch.nan if when() else gradient)


def test_under_fp16_a_gradient_that_never_is_a_number_stops_the_run_and_names_its_head(sharded, caplog):
    workspace = set_params(sharded, train={"epochs": 9})
    stepper, state = fp16_stepper(workspace), TrainState()
    spoil_gradient(stepper)
    before = fingerprint(stepper)

    with pytest.raises(DeepmarkError, match=r"gradient is not a number \(landmark_heatmap\).*20 steps in a row.*bf16"):
        train(workspace, stepper, state)

    assert fingerprint(stepper) == before
    assert "The loss scale is now 32768. The step is left out." in caplog.text
    assert [epoch["skipped"] for epoch in state.history] == [3] * 6


def test_a_run_all_of_whose_steps_were_left_out_has_no_result(sharded):
    stepper = fp16_stepper(sharded)
    spoil_gradient(stepper)

    with pytest.raises(DeepmarkError, match=r"all 6 steps were left out, so the weights are those of the start.*bf16"):
        train(sharded, stepper, TrainState())


def test_such_a_run_fails_in_mlflow_and_leaves_no_model_however_often_it_is_started(sharded, monkeypatch):
    def spoiled(*arguments: Any, **others: Any) -> Stepper:
        stepper = replace(make_stepper(*arguments, **others), scaler=torch.amp.GradScaler("cpu"))
        spoil_gradient(stepper)
        return stepper

    monkeypatch.setattr("deepmark.train.run.make_stepper", spoiled)
    for _ in range(2):
        with pytest.raises(DeepmarkError, match="all 6 steps were left out"):
            train_rank(sharded, run_folder(sharded), ALONE, StopSignal())

    assert not sharded.checkpoint.exists()
    assert list(mlflow_runs(sharded).values()) == ["FAILED"]


def test_a_loss_scale_that_falls_and_falls_stops_the_run(sharded):
    workspace = set_params(sharded, train={"epochs": 9})
    stepper, steps = fp16_stepper(workspace, scale=1e-3), iter(range(99))
    spoil_gradient(stepper, lambda: next(steps) % 2 == 0)

    with pytest.raises(DeepmarkError, match=r"landmark_heatmap.*the loss scale to 6\.3e-05, where fp16 holds no.*bf16"):
        train(workspace, stepper, TrainState())


def test_the_first_steps_of_fp16_may_overflow_until_the_loss_scale_fits(sharded):
    adamw = {"optimizer": "adamw", "learning_rate": 4e-3}  # by which gradients grow above 1
    workspace = set_params(sharded, train={"ema": 0.9, "epochs": 3, **adamw})
    stepper, state = fp16_stepper(workspace, scale=3e38), TrainState()

    reports = train(workspace, stepper, state)

    skipped = sum(report.skipped for report in reports)
    assert 0 < skipped < 9
    assert stepper.average is not None
    assert int(stepper.average.n_averaged) == 9 - skipped
    assert all(np.isfinite(report.train["total"]) for report in reports)
    assert all(value.isfinite().all() for value in stepper.detector.state_dict().values())


def test_the_loss_scale_does_not_fall_where_the_loss_itself_is_not_a_number(sharded, poisoned):
    workspace = set_params(sharded, train={"not_finite": "skip"})
    poisoned(poisoned_key(workspace))
    stepper = fp16_stepper(workspace)

    reports = train(workspace, stepper, TrainState())

    assert [report.skipped for report in reports] == [1, 1]
    assert stepper.scaler.get_scale() == 65536.0


def test_a_gradient_that_is_not_a_number_is_named_by_its_head(sharded):
    stepper = new_stepper(sharded)
    spoil_gradient(stepper)

    with pytest.raises(DeepmarkError, match=r"epoch 1, step 1: the gradient is not a number \(landmark_heatmap\)"):
        train(sharded, stepper, TrainState())
