"""The processes that train together, one per GPU or a few on the CPU: this process's rank, and what they exchange."""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.meeting import MeetingError, interface_towards, meet, use_interface

T = TypeVar("T")

BACKENDS: dict[str, str] = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""What processes exchange by, for each type of device. Beside NCCL for tensors on GPUs there is gloo for all else,
because with NCCL alone torch sends Python objects through a GPU, and the detections of a data set are gigabytes."""

_PEER_GONE = re.compile(
    r"^Dist\w*Error|gloo|NCCL|[Cc]onnection (was )?(closed|reset|refused)|Broken pipe|Timed out waiting"
)
"""In the error of a process whose exchange with another one failed."""


class LostPeerError(DeepmarkError):
    """Another process of the training has ended, or cannot be reached any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RankInfo:
    """Which process of a training this is, as torchrun or a scheduler set it in the environment."""

    rank: int
    world_size: int
    local_rank: int
    """Among the processes of this machine: the number of its GPU."""

    local_world_size: int
    master: tuple[str, int] | None
    """Host and port of the store, at the first process; None for a single process."""


def _number(name: str, default: str | None = None, *, least: int = 0) -> int:
    text = os.environ.get(name, default)
    if text is None or not text.isdecimal() or int(text) < least:
        found = "is not set" if text is None else f"is {text!r}"
        raise DeepmarkError(
            f"{name} {found}, and must be a whole number from {least} on. Whoever sets RANK sets WORLD_SIZE, and for "
            "several processes LOCAL_RANK, MASTER_ADDR and MASTER_PORT. Without RANK, `deepmark train` starts its own."
        )
    return int(text)


def rank_from_environment() -> RankInfo | None:
    """The rank that RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT give; None where RANK is not set.

    Raises DeepmarkError for impossible values.
    """
    if "RANK" not in os.environ:
        return None
    rank, world_size, master = _number("RANK"), _number("WORLD_SIZE", least=1), None
    if rank >= world_size:
        raise DeepmarkError(f"RANK is {rank}, and must be below WORLD_SIZE, {world_size}: ranks are counted from 0.")
    if world_size > 1:
        master = (os.environ.get("MASTER_ADDR", ""), _number("MASTER_PORT", least=1))
        if not master[0]:
            raise DeepmarkError("MASTER_ADDR is not set: the name or address of the machine of rank 0.")
    return RankInfo(
        rank=rank,
        world_size=world_size,
        local_rank=_number("LOCAL_RANK", "0"),
        local_world_size=_number("LOCAL_WORLD_SIZE", "1", least=1),
        master=master,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessGroup:
    """This process among those that train together."""

    rank: int
    world_size: int
    local_world_size: int
    """Processes on this machine."""

    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and logs for all."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place; the same bits for the same processes."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def from_first(self, value: T) -> T:
        """The value of the first process; the others' values are ignored. All processes wait for each other here."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values)
        return values[0]

    def gathered(self, value: list[T]) -> list[T]:
        """The lists of all processes as one, at the first process; an empty list at the others.

        It passes through the memory of the machines, never through a GPU's: see `BACKENDS`.
        """
        if self.world_size == 1:
            return value
        lists: list[list[T]] | None = [[]] * self.world_size if self.is_first else None
        dist.gather_object(value, lists)
        return [each for one in lists or [] for each in one]

    def broadcast_buffers(self, module: nn.Module) -> None:
        """Copy the first process's buffers, the running statistics of batch normalisation, to all processes."""
        if self.world_size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)


def make_deterministic(device: torch.device) -> None:
    """On a CPU, make results the same bits every time: gradients of gathered cells are added up in order.

    This holds for the same number of OpenMP threads, by which the kernels divide their sums.
    """
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        # This mode also fills every new buffer, which costs 4% of a step and is not needed.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _choose_device(info: RankInfo) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    gpus = torch.cuda.device_count()
    if info.local_rank >= gpus > 1:
        raise DeepmarkError(f"LOCAL_RANK is {info.local_rank}, this machine has {gpus} GPUs: one process a GPU.")
    device = torch.device("cuda", 0 if gpus == 1 else info.local_rank)  # a scheduler may show each process only its own
    torch.cuda.set_device(device)
    return device


def _join(info: RankInfo, master: tuple[str, int], backend: str, seconds: float) -> None:
    """Join the other processes; raises MeetingError saying who did not come, or cannot be reached."""
    if info.local_world_size < info.world_size:
        use_interface(interface_towards(master[0]))
    store = meet(master, rank=info.rank, world_size=info.world_size, seconds=seconds)
    try:
        dist.init_process_group(
            backend, store=store, rank=info.rank, world_size=info.world_size, timeout=timedelta(seconds=seconds)
        )
        _keep_for_ever(dist.group.WORLD)
        # Nobody goes on, and perhaps fails, before all are connected: gloo tries to reach one that has ended for as
        # long as it may, but a connection that ends is told at once.
        dist.all_reduce(torch.zeros(1))
    except RuntimeError as error:
        raise MeetingError(
            f"rank {info.rank} of {info.world_size} met the others at {master[0]}:{master[1]}, but they do not reach "
            f"each other ({str(error).splitlines()[0]}). The machines of a training must reach each other on every "
            "port above 1023, on the interface in GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME."
        ) from None


def _keep_for_ever(value: object) -> None:
    """Keep a process group from being freed before the process ends.

    Python frees it under the interpreter's lock, and waits for gloo's threads there; these take the same lock to give
    back the tensor of the last exchange (torch 2.13). In one run of three, a process that had lost another one waited
    so for ever.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


@contextmanager
def join_process_group(seconds: float) -> Iterator[ProcessGroup]:
    """The group that torchrun, Slurm or Kubernetes gives in RANK, WORLD_SIZE and LOCAL_RANK.

    `seconds` is how long a process waits for others, here and in every collective. The process computes alike every
    time where that can be had.
    """
    info = rank_from_environment()
    assert info is not None
    device = _choose_device(info)
    make_deterministic(device)
    if info.master:
        _join(info, info.master, BACKENDS[device.type], seconds)
    try:
        yield ProcessGroup(
            rank=info.rank, world_size=info.world_size, local_world_size=info.local_world_size, device=device
        )
    finally:
        if info.world_size > 1:
            dist.destroy_process_group()


@contextmanager
def lost_peers_told(group: ProcessGroup) -> Iterator[None]:
    """Turn the error of an exchange with another process, which has ended or cannot be reached, into LostPeerError."""
    try:
        yield
    except RuntimeError as error:
        text = f"{type(error).__name__}: {error}"
        if group.world_size == 1 or not _PEER_GONE.search(text):
            raise
        raise LostPeerError(
            f"rank {group.rank} lost another process of this training: it ended, or it cannot be reached any more "
            f"({' '.join(str(error).split())[:200]}). Its own output says why. The same command for all processes goes "
            "on from the last checkpoint."
        ) from None
