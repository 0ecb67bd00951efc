"""The state of a run on disk: written whole or not at all, recognised when damaged, read without running code.

A checkpoint is a folder `epoch-0012-step-00001234`, steps counted inside the epoch: safetensors for the weights, the
optimiser, the weights' average and the best epoch's weights, `state.json` for the rest and the sha256 of every file.
The folder above carries the digest of the run's recipe and data, so no run resumes another's.
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, new_folder, write_json
from deepmark.train.best_epoch import Best
from deepmark.train.loop import Position
from deepmark.train.step import Stepper

PATIENCE = 15.0
"""Seconds that a training waits for the processes of one that was killed just before."""

_NAMES = "epoch-????-step-????????"

_log = logging.getLogger(__name__)


def digest(value: Any) -> str:
    """A short name for everything that decides what a run becomes; the same for equal values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keeps a second training of the same recipe out while this one runs; a killed one keeps nobody out.

    Raises DeepmarkError naming the process that has the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as file:
        deadline = time.monotonic() + PATIENCE
        while not _locked(file.fileno()):
            if time.monotonic() > deadline:
                file.seek(0)
                raise DeepmarkError(
                    f"{folder}: this recipe is being trained already, by {file.read().strip() or 'another process'}. "
                    "Wait for it or stop it; two at once would spoil each other's checkpoints."
                )
            time.sleep(0.2)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}\n")
        file.flush()
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
        # the fused optimiser walks weight and moments in the order of memory, which a file does not keep
        is_moment = value.shape == weight.shape
        state.setdefault(int(index), {})[name] = torch.empty_like(weight).copy_(value) if is_moment else value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _tensors(stepper: Stepper, position: Position) -> dict[str, Mapping[str, Tensor]]:
    """What moves, by the name of its file."""
    tensors: dict[str, Mapping[str, Tensor]] = {
        "weights": stepper.detector.state_dict(),
        "optimizer": _optimizer_tensors(stepper.optimizer),
    }
    if stepper.average is not None:
        tensors["average"] = stepper.average.state_dict()
    if position.best is not None:
        tensors["best"] = position.best.weights
    return tensors


def save_checkpoint(folder: Path, stepper: Stepper, position: Position, *, facts: dict, kept: int) -> Path:
    """Write the state as a new checkpoint below `folder`, then forget all but the last `kept`."""
    for draft in folder.glob(f"{_NAMES}.*"):  # of a process that was killed while it wrote
        shutil.rmtree(draft)
    path = folder / f"epoch-{position.epoch:04d}-step-{position.step:08d}"
    with new_folder(path) as draft:
        for name, tensors in _tensors(stepper, position).items():
            save_file({key: value.contiguous() for key, value in tensors.items()}, draft / f"{name}.safetensors")
        sha256 = {file.name: file_sha256(file) for file in sorted(draft.iterdir())}
        best = position.best and {"epoch": position.best.epoch, "value": position.best.value}
        fields = asdict(replace(position, best=None)) | {"best": best}
        state = {"position": fields, "scaler": stepper.scaler.state_dict(), "facts": facts, "sha256": sha256}
        write_json(draft / "state.json", {**state, "digest": digest(state)})
    for old in sorted(folder.glob(_NAMES))[:-kept]:
        shutil.rmtree(old)
    return path


def _read_state(path: Path) -> dict | None:
    """The state, where every file is as it was written."""
    try:
        state = json.loads((path / "state.json").read_text("utf-8"))
        stored = state.pop("digest")
        if digest(state) != stored:
            return None
        if any(file_sha256(path / name) != sha for name, sha in state["sha256"].items()):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return state


def newest(folder: Path) -> Path | None:
    """The newest sound checkpoint below `folder`; damaged ones are passed over with a warning."""
    for path in sorted(folder.glob(_NAMES), reverse=True):
        if _read_state(path) is not None:
            return path
        _log.warning("%s: damaged; the checkpoint before it is used.", path)
    return None


def restore(path: Path, stepper: Stepper) -> tuple[Position, dict]:
    """Put a checkpoint that `newest` found into the stepper; its position and facts."""
    state = json.loads((path / "state.json").read_text("utf-8"))
    tensors = {Path(name).stem: load_file(path / name) for name in state["sha256"]}
    stepper.detector.load_state_dict(tensors["weights"])
    _set_optimizer(stepper.optimizer, tensors["optimizer"])
    if stepper.average is not None:
        stepper.average.load_state_dict(tensors["average"])
    stepper.scaler.load_state_dict(state["scaler"])
    fields = state["position"]
    best = fields.pop("best")
    return Position(**fields, best=best and Best(**best, weights=tensors["best"])), state["facts"]
