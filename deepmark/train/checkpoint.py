"""The state of a run on disk: written whole or not at all, recognised when damaged, read without running code.

A checkpoint is a folder `step-00001234` with weights and optimiser as safetensors and the rest as JSON, with the
sha256 of both. The folder above carries the digest of the run's recipe and data, so no run resumes another's.
"""

import hashlib
import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from deepmark.files import file_sha256, new_folder, write_json
from deepmark.train.loop import Position, Stepper

KEPT = 2
"""Checkpoints kept: the last, and the one before in case it is damaged."""

_log = logging.getLogger(__name__)


def digest(value: Any) -> str:
    """A short name for everything that decides what a run becomes; the same for equal values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


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


def save_checkpoint(folder: Path, stepper: Stepper, position: Position, *, steps_per_epoch: int, facts: dict) -> Path:
    """Write the state as a new checkpoint below `folder`, then forget all but the last two."""
    path = folder / f"step-{position.epoch * steps_per_epoch + position.step:08d}"
    with new_folder(path) as draft:
        weights = {name: value.contiguous() for name, value in stepper.detector.state_dict().items()}
        save_file(weights, draft / "weights.safetensors")
        save_file(_optimizer_tensors(stepper.optimizer), draft / "optimizer.safetensors")
        state = {
            "position": {**asdict(position), "loss_sums": position.loss_sums.tolist()},
            "scaler": stepper.scaler.state_dict(),
            "facts": facts,
            "sha256": {file.name: file_sha256(file) for file in sorted(draft.iterdir())},
        }
        write_json(draft / "state.json", {**state, "digest": digest(state)})
    for old in sorted(folder.glob("step-????????"))[:-KEPT]:
        shutil.rmtree(old)
    return path


def _read_state(path: Path) -> dict | None:
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


def resume(folder: Path, stepper: Stepper) -> tuple[Position, dict] | None:
    """Put the newest sound checkpoint below `folder` into the stepper; its position and facts, or None without one.

    A damaged checkpoint is passed over with a warning.
    """
    for path in sorted(folder.glob("step-????????"), reverse=True):
        state = _read_state(path)
        if state is None:
            _log.warning("%s: damaged; the checkpoint before it is used.", path)
            continue
        try:
            weights = load_file(path / "weights.safetensors")
            tensors = load_file(path / "optimizer.safetensors")
        except (OSError, SafetensorError):
            _log.warning("%s: cannot be read; the checkpoint before it is used.", path)
            continue
        stepper.detector.load_state_dict(weights)
        _set_optimizer(stepper.optimizer, tensors)
        stepper.scaler.load_state_dict(state["scaler"])
        fields = state["position"]
        sums = torch.tensor(fields.pop("loss_sums"), dtype=torch.float64)
        return Position(**fields, loss_sums=sums), state["facts"]
    return None
