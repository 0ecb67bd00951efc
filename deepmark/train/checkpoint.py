"""Checkpoints of a training: written whole or not at all, checked for damage, read without running any code.

A checkpoint is a folder `epoch-0012-step-00001234`, with steps counted inside the epoch. Safetensors files hold the
weights, the optimiser, the average of the weights and the best epoch's weights; `state.json` holds the rest and the
sha256 of every file. The folder above is named by the run id (run_id.py), so no run resumes another's checkpoint.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file
from torch import Tensor

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, new_folder, write_json
from deepmark.train.best_epoch import BestEpoch
from deepmark.train.loop import TrainState
from deepmark.train.step import Stepper
from deepmark.vocabulary import check_same, restored_vocabulary, stored_vocabulary

LOCK_SECONDS = 15.0
"""How long a training waits for the processes of one that was killed just before."""

_NAMES = "epoch-????-step-????????"

_log = logging.getLogger(__name__)


def fingerprint(value: Any) -> str:
    """A short hash of a JSON value; the same for equal values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


class RunLockedError(DeepmarkError):
    """Another process trains the same run."""


@contextmanager
def run_lock(folder: Path, *, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the run's lock, so that no second training of the same run starts; a killed process loses it.

    Raises RunLockedError naming the process that holds the lock, where it still does after some seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "lock"
    try:
        lock = FileLock(file, timeout=seconds, poll_interval=0.2).acquire()
    except Timeout:
        holder = file.read_text("utf-8").strip() or "another process"
        raise RunLockedError(
            f"{folder}: this recipe is being trained already, by {holder}. "
            "Wait for it or stop it; two at once would spoil each other's checkpoints."
        ) from None
    with lock:
        file.write_text(f"process {os.getpid()} on {os.uname().nodename}\n", "utf-8")
        yield


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    states = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value.contiguous() for index, state in states.items() for name, value in state.items()}


@torch.no_grad()
def _set_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        weight = weights[int(index)]
        # the fused optimiser needs weights and moments in the same memory order, which a file does not keep
        is_moment = value.shape == weight.shape
        state.setdefault(int(index), {})[name] = torch.empty_like(weight).copy_(value) if is_moment else value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _tensors(stepper: Stepper, state: TrainState) -> dict[str, Mapping[str, Tensor]]:
    """The tensors of each file, by its name."""
    tensors: dict[str, Mapping[str, Tensor]] = {
        "weights": stepper.detector.state_dict(),
        "optimizer": _optimizer_tensors(stepper.optimizer),
    }
    if stepper.average is not None:
        tensors["average"] = stepper.average.state_dict()
    if state.best is not None:
        tensors["best"] = state.best.weights
    return tensors


def save_checkpoint(folder: Path, stepper: Stepper, state: TrainState, *, facts: dict, kept: int) -> Path:
    """Write a new checkpoint below `folder`, then delete all but the last `kept`."""
    for draft in folder.glob(f"{_NAMES}.*"):  # of a process that was killed while it wrote
        shutil.rmtree(draft)
    path = folder / f"epoch-{state.epoch:04d}-step-{state.step:08d}"
    with new_folder(path) as draft:
        for name, tensors in _tensors(stepper, state).items():
            save_file({key: value.contiguous() for key, value in tensors.items()}, draft / f"{name}.safetensors")
        sha256 = {file.name: file_sha256(file) for file in sorted(draft.iterdir())}
        best = state.best and {"epoch": state.best.epoch, "value": state.best.value}
        fields = asdict(replace(state, best=None)) | {"best": best}
        content: dict[str, Any] = {
            "position": fields,
            "scaler": stepper.scaler.state_dict(),
            "facts": facts,
            "sha256": sha256,
        }
        if (vocabulary := stored_vocabulary(stepper.detector.vocabulary)) is not None:
            content["vocabulary"] = vocabulary
        write_json(draft / "state.json", {**content, "digest": fingerprint(content)})
    for old in sorted(folder.glob(_NAMES))[:-kept]:
        shutil.rmtree(old)
    return path


def _read_state(path: Path) -> dict | None:
    """The content of state.json; None where any file is not as it was written."""
    try:
        content = json.loads((path / "state.json").read_text("utf-8"))
        stored = content.pop("digest")
        if fingerprint(content) != stored:
            return None
        if any(file_sha256(path / name) != sha for name, sha in content["sha256"].items()):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return content


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest undamaged checkpoint below `folder`; damaged ones are skipped with a warning."""
    for path in sorted(folder.glob(_NAMES), reverse=True):
        if _read_state(path) is not None:
            return path
        _log.warning("%s: damaged; the checkpoint before it is used.", path)
    return None


def restore_checkpoint(path: Path, stepper: Stepper) -> tuple[TrainState, dict]:
    """Load a checkpoint that `newest_checkpoint` found into the stepper; returns its train state and facts.

    Raises DeepmarkError where it is of another vocabulary than the stepper's detector.
    """
    content = json.loads((path / "state.json").read_text("utf-8"))
    begun, remedy = restored_vocabulary(content.get("vocabulary"), path), "Train anew: `deepmark train --fresh`."
    check_same(begun, path, stepper.detector.vocabulary, "the training data", remedy)
    tensors = {Path(name).stem: load_file(path / name) for name in content["sha256"]}
    stepper.detector.load_state_dict(tensors["weights"])
    _set_optimizer(stepper.optimizer, tensors["optimizer"])
    if stepper.average is not None:
        stepper.average.load_state_dict(tensors["average"])
    stepper.scaler.load_state_dict(content["scaler"])
    fields = content["position"]
    best = fields.pop("best")
    return TrainState(**fields, best=best and BestEpoch(**best, weights=tensors["best"])), content["facts"]
