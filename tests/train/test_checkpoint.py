"""Checkpoints are whole, checked for damage, limited in number, and written by one training at a time."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from one_process import ALONE, new_stepper, train
from vocabularies import SMALL
from workspaces import copied, set_params

from deepmark.errors import DeepmarkError
from deepmark.model.detector import build_detector
from deepmark.train.best_epoch import update_best
from deepmark.train.checkpoint import newest_checkpoint, restore_checkpoint, run_lock, save_checkpoint
from deepmark.train.loop import TrainState
from deepmark.train.optim import build_optimizer
from deepmark.train.step import Stepper, make_stepper
from deepmark.workspace.layout import Workspace

pytestmark = pytest.mark.slow


def save(folder: Path, stepper: Stepper, state: TrainState) -> Path:
    return save_checkpoint(folder, stepper, state, facts={"mlflow_run_id": "7"}, kept=2)


def test_a_second_training_of_the_same_run_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("deepmark.train.checkpoint.LOCK_SECONDS", 0.0)
    with (
        run_lock(tmp_path),
        pytest.raises(DeepmarkError, match=rf"being trained already, by process {os.getpid()} on .*stop it"),
        run_lock(tmp_path),
    ):
        pass
    with run_lock(tmp_path):
        pass


def test_only_the_last_checkpoints_are_kept(sharded, tmp_path):
    stepper = new_stepper(sharded)
    for step in range(1, 6):
        save(tmp_path / "run", stepper, TrainState(step=step))

    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["epoch-0000-step-00000004", "epoch-0000-step-00000005"]


def test_an_unfinished_checkpoint_of_a_killed_process_is_deleted(sharded, tmp_path):
    (tmp_path / "run/epoch-0000-step-00000001.unfinished").mkdir(parents=True)
    save(tmp_path / "run", new_stepper(sharded), TrainState(step=2))

    assert [path.name for path in (tmp_path / "run").iterdir()] == ["epoch-0000-step-00000002"]


@pytest.mark.parametrize(
    "file", ["state.json", *(f"{name}.safetensors" for name in ("weights", "optimizer", "average", "best"))]
)
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_skipped_for_the_one_before(full_checkpoint, tmp_path, caplog, file, damage):
    shutil.copytree(full_checkpoint, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "epoch-0000-step-00000002" / file
    data = bytearray(path.read_bytes())
    if damage == "flip":
        place = int(np.random.default_rng(0).integers(len(data)))
        data[place] ^= 1
    path.unlink()
    if damage != "remove":
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data)

    assert newest_checkpoint(tmp_path) == tmp_path / "epoch-0000-step-00000001"
    assert "step-00000002: damaged" in caplog.text


@pytest.fixture(scope="module")
def full_checkpoint(sharded_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints that hold everything a checkpoint can."""
    workspace = copied(sharded_once, tmp_path_factory.mktemp("full"))
    stepper = new_stepper(set_params(workspace, train={"ema": 0.9, "epochs": 1}))
    state = TrainState()
    train(Workspace(workspace.root), stepper, state)
    best = update_best(None, 0, {"landmark_ap": 0.5}, stepper)
    folder = tmp_path_factory.mktemp("checkpoints")
    for step in (1, 2):
        save(folder, stepper, TrainState(step=step, best=best))
    return folder


def test_without_a_checkpoint_none_is_found(tmp_path):
    assert newest_checkpoint(tmp_path / "nothing") is None


def test_a_run_of_another_vocabulary_is_not_resumed(sharded, tmp_path):
    path = save(tmp_path / "run", new_stepper(sharded), TrainState(step=1))
    params = sharded.params.train
    detector = build_detector(sharded.params.model, SMALL, seed=params.seed)
    other = make_stepper(detector, build_optimizer(detector, params), params, ALONE)

    with pytest.raises(DeepmarkError, match="step-00000001 has the vocabulary DeepFashion2, but the training data"):
        restore_checkpoint(path, other)
    path = save(tmp_path / "run", other, TrainState(step=2))
    assert restore_checkpoint(path, other)[0].step == 2
    with pytest.raises(DeepmarkError, match=r"step-00000002 has the vocabulary accessories, but .* --fresh"):
        restore_checkpoint(path, new_stepper(sharded))
