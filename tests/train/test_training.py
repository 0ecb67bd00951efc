"""A training is a function of its recipe and data, however often it is cut off."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from deepmark.data.stream import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.model.detector import build_detector
from deepmark.train.checkpoint import KEPT, resume, save_checkpoint
from deepmark.train.distributed import Group, be_exact
from deepmark.train.loop import EpochReport, Position, Stepper, fit, make_stepper
from deepmark.train.optim import build_optimizer
from deepmark.workspace import Workspace

ALONE = Group(rank=0, world=1, local_world=1, device=torch.device("cpu"))
STEPS = 3
"""Twelve pictures, four a step."""


class CutOffError(Exception):
    pass


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    be_exact(ALONE.device)
    yield
    torch.use_deterministic_algorithms(False)


def new_stepper(workspace: Workspace) -> Stepper:
    params = workspace.params
    detector = build_detector(params.model, seed=params.train.seed)
    return make_stepper(detector, build_optimizer(detector, params.train), params.train, ALONE)


def train(
    workspace: Workspace,
    stepper: Stepper,
    position: Position,
    after_step: Callable[[Position], None] = lambda position: None,
) -> list[EpochReport]:
    readers = [ShardReader(workspace.shards(split)) for split in ("train", "validation")]
    params = workspace.params
    canvas = params.model.input_size
    epochs = fit(stepper, *readers, canvas=canvas, augment=params.augment, position=position, after_step=after_step)
    return list(epochs)


def fingerprint(stepper: Stepper) -> str:
    digest = hashlib.sha256()
    for tensor in stepper.detector.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    for _, state in sorted(stepper.optimizer.state_dict()["state"].items()):
        for _, value in sorted(state.items()):
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def save(folder: Path, stepper: Stepper, position: Position) -> Path:
    return save_checkpoint(folder, stepper, position, steps_per_epoch=STEPS, facts={"mlflow_run_id": "7"})


@pytest.fixture
def finished(sharded: Workspace) -> tuple[Workspace, str, list[dict]]:
    stepper, position = new_stepper(sharded), Position()
    train(sharded, stepper, position)
    return sharded, fingerprint(stepper), position.history


def losses_of(history: list[dict]) -> list[tuple[dict, dict]]:
    return [(epoch["train"], epoch["validation"]) for epoch in history]


def test_the_same_recipe_gives_the_same_weights(finished):
    workspace, expected, _ = finished
    stepper = new_stepper(workspace)
    train(workspace, stepper, Position())
    assert fingerprint(stepper) == expected


def test_the_number_of_threads_changes_nothing(finished, monkeypatch):
    workspace, expected, _ = finished
    monkeypatch.setenv("DEEPMARK_LOADER_THREADS", "5")
    stepper = new_stepper(workspace)
    train(workspace, stepper, Position())
    assert fingerprint(stepper) == expected


@pytest.mark.parametrize("cut", [1, 3, 4])
def test_a_run_cut_off_after_any_step_goes_on_to_the_same_end(finished, tmp_path, cut):
    workspace, expected, history = finished
    stepper, done = new_stepper(workspace), 0

    def cut_off(position: Position) -> None:
        nonlocal done
        done += 1
        if done == cut:
            save(tmp_path, stepper, position)
            raise CutOffError

    with pytest.raises(CutOffError):
        train(workspace, stepper, Position(), cut_off)
    again = new_stepper(workspace)
    position, facts = resume(tmp_path, again) or pytest.fail("no checkpoint")
    assert facts == {"mlflow_run_id": "7"}
    train(workspace, again, position)
    assert fingerprint(again) == expected
    assert losses_of(position.history) == losses_of(history)


def test_training_lowers_the_loss(sharded):
    stepper, position = new_stepper(sharded), Position()
    reports = train(sharded, stepper, position)
    assert reports[1].train["total"] < reports[0].train["total"]


def test_the_parts_of_the_loss_add_up_to_the_total(sharded):
    report = train(sharded, new_stepper(sharded), Position())[0]
    parts = {name: value for name, value in report.train.items() if name != "total"}
    assert len(parts) == 6
    assert sum(parts.values()) == pytest.approx(report.train["total"], rel=1e-5)


def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_do(sharded):
    stepper = new_stepper(sharded)
    with torch.no_grad():
        next(stepper.detector.parameters()).fill_(float("nan"))
    with pytest.raises(DeepmarkError, match=r"epoch 1: the loss is not a number.*learning_rate"):
        train(sharded, stepper, Position())


def test_only_the_last_checkpoints_are_kept(sharded, tmp_path):
    stepper = new_stepper(sharded)
    for step in range(1, 6):
        save(tmp_path / "run", stepper, Position(step=step))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["step-00000004", "step-00000005"]
    assert KEPT == 2


@pytest.mark.parametrize("file", ["state.json", "weights.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(sharded, tmp_path, caplog, file, damage):
    stepper = new_stepper(sharded)
    train(sharded, stepper, Position())
    save(tmp_path, stepper, Position(step=1))
    path = save(tmp_path, stepper, Position(step=2)) / file
    data = bytearray(path.read_bytes())
    if damage == "flip":
        place = int(np.random.default_rng(0).integers(len(data)))
        data[place] ^= 1
    path.unlink()
    if damage != "remove":
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    found = resume(tmp_path, new_stepper(sharded))
    assert found is not None
    assert found[0].step == 1
    assert "step-00000002: damaged" in caplog.text


def test_without_a_checkpoint_a_run_starts_anew(sharded, tmp_path):
    assert resume(tmp_path / "nothing", new_stepper(sharded)) is None
