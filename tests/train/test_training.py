"""The result of a training depends on its parameters and data only, also when it is interrupted and resumed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from one_process import ALONE, fingerprint, new_stepper, train
from trainings import EVERYTHING
from workspaces import copied, set_params

from deepmark.data.augment import make_sample
from deepmark.data.shards.reader import ShardReader
from deepmark.model.detector import build_detector, save_detector
from deepmark.train.checkpoint import newest_checkpoint, restore_checkpoint, save_checkpoint
from deepmark.train.distributed.process_group import make_deterministic
from deepmark.train.distributed.stop_signal import StoppedError, StopSignal
from deepmark.train.loop import TrainState
from deepmark.train.step import Stepper
from deepmark.train.targets import collate
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace

DEGRADED = {"rotation": 15, "cutout": 0.5, "white_balance": 0.2, "blur": 1.0, "noise": 9.0, "jpeg": 70}


SWITCHED = (
    *(f"train.loss.{name}" for name in ("giou_loss", "diou_loss", "oks_loss", "teacher_loss")),
    *(f"train.step.{name}" for name in ("update_average", "update_loss_scale", "sync_batch_norm", "_compile")),
    *(f"data.degrade.{name}" for name in ("white_balanced", "blurred", "noisy", "compressed")),
    *("data.augment.hide_landmarks", "geometry.turned", "train.run.repeat_factors"),
)
"""What the switches of params.yaml run that a training may do without."""


class CutOffError(Exception):
    pass


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    make_deterministic(ALONE.device)
    yield
    torch.use_deterministic_algorithms(False)


def save(folder: Path, stepper: Stepper, state: TrainState) -> Path:
    return save_checkpoint(folder, stepper, state, facts={"mlflow_run_id": "7"}, kept=2)


def resume(folder: Path, stepper: Stepper) -> tuple[TrainState, dict]:
    path = newest_checkpoint(folder)
    assert path is not None
    return restore_checkpoint(path, stepper)


@pytest.fixture(scope="module", params=["plain", "everything"])
def finished(
    request: pytest.FixtureRequest, sharded_once: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, str, TrainState]:
    """A finished training: with the demo's parameters, and with everything that a run can carry from step to step."""
    workspace = copied(sharded_once, tmp_path_factory.mktemp("finished"))
    if request.param == "everything":
        save_detector(
            build_detector(workspace.params.model, DEEPFASHION2, seed=5), workspace.root / "teacher.safetensors"
        )
        more = {"optimizer": "muon", "not_finite": "skip", "device_batch": 3, "teacher": "teacher.safetensors"}
        weights = EVERYTHING["loss_weights"] | {"teacher": 0.5}
        set_params(workspace, augment=DEGRADED, train=EVERYTHING | more | {"loss_weights": weights})
    workspace = Workspace(workspace.root)
    make_deterministic(ALONE.device)
    stepper, state = new_stepper(workspace), TrainState()
    train(workspace, stepper, state)
    return workspace, fingerprint(stepper), state


def losses_of(history: list[dict]) -> list[tuple[dict, dict]]:
    return [(epoch["train"], epoch["validation"], epoch["measured"]) for epoch in history]


def test_the_same_parameters_give_the_same_weights(finished):
    workspace, expected, _ = finished
    stepper = new_stepper(workspace)
    train(workspace, stepper, TrainState())
    assert fingerprint(stepper) == expected


def test_the_number_of_threads_changes_nothing(finished, monkeypatch):
    workspace, expected, _ = finished
    monkeypatch.setenv("DEEPMARK_LOADER_THREADS", "5")
    stepper = new_stepper(workspace)
    train(workspace, stepper, TrainState())
    assert fingerprint(stepper) == expected


def test_nothing_of_a_switch_is_run_where_it_is_off(sharded, monkeypatch):
    """Then a training gives the digits that it gave before there were such switches."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    for place in SWITCHED:
        monkeypatch.setattr(f"deepmark.{place}", fail)
    reports = train(sharded, new_stepper(sharded), TrainState())

    assert len(reports) == 2


@pytest.mark.parametrize("cut", [1, 3, 4])
def test_a_run_interrupted_after_any_step_resumes_to_the_same_result(finished, tmp_path, cut):
    workspace, expected, whole = finished
    stepper, done = new_stepper(workspace), 0

    def cut_off(state: TrainState) -> None:
        nonlocal done
        done += 1
        if done == cut:
            save(tmp_path, stepper, state)
            raise CutOffError

    with pytest.raises(CutOffError):
        train(workspace, stepper, TrainState(), cut_off)
    again = new_stepper(workspace)
    state, facts = resume(tmp_path, again)
    assert facts == {"mlflow_run_id": "7"}
    train(workspace, again, state)
    assert fingerprint(again) == expected
    assert losses_of(state.history) == losses_of(whole.history)
    assert (state.best is None) == (whole.best is None)
    if state.best is not None and whole.best is not None:
        assert (state.best.epoch, state.best.value) == (whole.best.epoch, whole.best.value)
        assert all(torch.equal(state.best.weights[name], value) for name, value in whole.best.weights.items())


def test_the_validation_loss_every_so_many_epochs_changes_no_weight(finished):
    workspace, expected, whole = finished
    for every, measured in ((2, [False, True]), (3, [False, True]), (0, [False, False])):
        stepper, state = new_stepper(workspace, validate_every=every), TrainState()
        train(workspace, stepper, state)
        assert fingerprint(stepper) == expected
        assert [bool(epoch["validation"]) for epoch in state.history] == measured
        assert [epoch["train"] for epoch in state.history] == [epoch["train"] for epoch in whole.history]
        if measured[1]:
            assert state.history[1]["validation"] == whole.history[1]["validation"]


def test_where_the_loss_chooses_the_weights_it_is_measured_with_every_evaluation(sharded):
    stepper, state = new_stepper(sharded, validate_every=0, evaluate_every=1, best_by="loss"), TrainState()
    train(sharded, stepper, state)

    losses = [epoch["validation"]["total"] for epoch in state.history]
    assert state.best is not None
    assert state.best.value == min(losses)


@pytest.mark.slow
def test_training_lowers_the_loss(sharded):
    stepper, state = new_stepper(sharded), TrainState()
    reports = train(sharded, stepper, state)
    assert reports[1].train["total"] < reports[0].train["total"]


@pytest.mark.slow
def test_the_parts_of_the_loss_add_up_to_the_total(sharded):
    report = train(sharded, new_stepper(sharded), TrainState())[0]
    parts = {name: value for name, value in report.train.items() if name != "total"}
    assert len(parts) == 6
    assert sum(parts.values()) == pytest.approx(report.train["total"], rel=1e-5)


def test_a_batch_in_parts_gives_the_gradient_of_the_whole(sharded):
    reader, params = ShardReader(sharded.shards("train")), sharded.params
    samples = [
        make_sample(
            *reader[index], canvas=(64, 64), augment=None, rng=np.random.default_rng(0), vocabulary=reader.vocabulary
        )
        for index in range(5)
    ]
    found = []
    for parts in ([samples], [samples[:2], samples[2:4], samples[4:]]):
        stepper = new_stepper(set_params(sharded, train={"clip_norm": None}))
        stepper.detector.eval()  # uses running statistics, because those of a batch differ from those of its parts
        result = stepper.step([collate(part) for part in parts], params.train.learning_rate)
        found.append((result.losses, [weight.grad.clone() for weight in stepper.detector.parameters()]))

    (whole, gradients), (summed, parts_gradients) = found
    assert summed == pytest.approx(whole, rel=1e-5)
    for part, gradient in zip(parts_gradients, gradients, strict=True):
        torch.testing.assert_close(part, gradient, rtol=1e-3, atol=1e-6 + 1e-4 * gradient.abs().max().item())


@pytest.mark.slow
def test_the_average_follows_the_weights_and_is_what_is_measured(sharded):
    stepper = new_stepper(set_params(sharded, train={"ema": 0.5}))
    weight, average = next(stepper.detector.parameters()), next(stepper.kept.parameters())
    expected, steps = [], []

    def after_step(state: TrainState) -> None:
        done = len(steps)
        decay = min(0.5, (1 + done) / (10 + done))
        expected.append(decay * expected[-1] + (1 - decay) * weight.detach() if steps else weight.detach().clone())
        steps.append(state.step)

    train(sharded, stepper, TrainState(), after_step)

    assert stepper.kept is not stepper.detector
    torch.testing.assert_close(average.detach(), expected[-1])
    assert not torch.equal(average, weight)


class StopAfter(StopSignal):
    """A stop signal that arrives during the given step."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    @property
    def is_received(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_run_that_is_told_to_end_stops_after_the_step_and_counts_it(sharded):
    stepper, state = new_stepper(sharded), TrainState()

    with pytest.raises(StoppedError):
        train(sharded, stepper, state, stop=StopAfter(1))

    assert (state.epoch, state.step) == (0, 2)
