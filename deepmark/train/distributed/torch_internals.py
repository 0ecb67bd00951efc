"""Everything here that torch does not promise to keep: torchrun's variables, its logger and its error files, functions
of many tensors at once, and the inside of GradScaler.

Read in torch 2.13. With another version, compare this file with torch.distributed.elastic, torch.nn.utils.clip_grad,
torch.optim.swa_utils and torch.amp.grad_scaler; nothing else depends on it.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from deepmark.shapes import Bool, Float

TORCH_VERSION = "2.13"

LAUNCHER_LOGGER = "torch.distributed.elastic.multiprocessing.api"
"""The logger that reports failed processes."""

_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"


def launcher_keeps_store() -> bool:
    """Whether torchrun, and not the process of rank 0, keeps the store at MASTER_ADDR:MASTER_PORT."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)


def restart_count() -> str:
    """How often torchrun has restarted this process's group."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def error_is_written() -> bool:
    """Whether torchrun knows why this process fails."""
    return Path(os.environ.get(_ERROR_FILE, "none")).is_file()


def tensor_norms(tensors: Sequence[Tensor]) -> Float[Tensor, " n"]:
    """The L2 norm of each tensor; that of these is `torch.nn.utils.get_total_norm`, bit for bit."""
    return torch.stack(torch._foreach_norm(list(tensors)))


def move_towards(values: Sequence[Tensor], others: Sequence[Tensor], share: Float[Tensor, ""]) -> None:
    """Move each tensor, in place, this share of the way to its other, as the averages of torch.optim.swa_utils do."""
    torch._foreach_lerp_(list(values), list(others), [share] * len(values))


def update_loss_scale(scaler: torch.amp.GradScaler, apply: Bool[Tensor, ""]) -> None:
    """GradScaler.update, or nothing: the device decides, and this process does not wait for it."""
    both = scaler._scale, scaler._growth_tracker
    before = [each.clone() for each in both if each is not None]
    scaler.update()
    for now, then in zip(both, before, strict=True):
        assert now is not None
        now.copy_(torch.where(apply, now, then))


@dataclass(frozen=True, kw_only=True, slots=True)
class RankFailure:
    """Why a rank failed, as it told torchrun."""

    local_rank: int
    kind: str
    """The name of the exception's class."""

    message: str
    traceback: str


def read_errors(folder: Path) -> list[RankFailure]:
    """The failures that the ranks of this machine wrote into torchrun's log folder, the first to fail first."""
    files = sorted(folder.rglob("error.json"), key=lambda file: file.stat().st_mtime_ns)
    return [_read_error(file) for file in files]


def _read_error(file: Path) -> RankFailure:
    message = json.loads(file.read_text("utf-8"))["message"]
    kind, _, text = message["message"].partition(": ")
    traceback = message["extraInfo"]["py_callstack"]
    return RankFailure(local_rank=int(file.parent.name), kind=kind, message=text, traceback=traceback)
