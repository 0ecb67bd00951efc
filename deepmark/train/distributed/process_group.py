"""The processes that train together, one per GPU or a few on the CPU: this process's rank, and what they exchange."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.addresses import interface_of, outer_address, wait_for_port
from deepmark.train.distributed.peer_watchdog import Peer, PeerWatchdog, listen
from deepmark.train.distributed.rendezvous import register
from deepmark.train.distributed.torch_internals import launcher_keeps_store, restart_count

T = TypeVar("T")

BACKENDS: dict[str, str] = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""What processes exchange by, for each type of device. Beside NCCL for tensors on GPUs there is gloo for all else,
because with NCCL alone torch sends Python objects through a GPU, and the detections of a data set are gigabytes."""


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
    watchdog: PeerWatchdog | None = None
    """Of the other machines, where there are any."""

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


def _join(info: RankInfo, master: tuple[str, int], backend: str, seconds: float) -> PeerWatchdog | None:
    """Join the other processes; returns the watchdog of the other machines, if there are any.

    Raises DeepmarkError saying how many processes came, if not all did.
    """
    deadline, present = time.monotonic() + seconds, []
    try:
        if info.rank > 0 or launcher_keeps_store():
            wait_for_port(*master, seconds=seconds)
        address = outer_address(master[0])
        listener = listen(address) if info.local_rank == 0 else None
        port = listener.getsockname()[1] if listener else 0
        own = Peer(rank=info.rank, machine=socket.gethostname(), address=address, port=port)
        store = next(rendezvous("env://", timeout=timedelta(seconds=seconds)))[0]
        key = f"deepmark/peers/{restart_count()}"
        left = deadline - time.monotonic()
        present = register(store, key, json.dumps(asdict(own)), wanted=info.world_size, seconds=left)
    except (OSError, dist.DistError) as error:
        why = str(error).splitlines()[0]
    else:
        why = "the others did not come"
    if len(present) < info.world_size:
        raise DeepmarkError(
            f"rank {info.rank} met {len(present)} of {info.world_size} processes at {master[0]}:{master[1]} within "
            f"{seconds:g} s ({why}). Look for the reason at the others; params.yaml: train: launch: timeout_seconds "
            "is how long they wait."
        )
    peers = sorted((Peer(**json.loads(line)) for line in present), key=lambda peer: peer.rank)
    one_machine = all(peer.shares_machine(own) for peer in peers)
    if one_machine and listener:
        listener.close()
    if not one_machine and (interface := interface_of(address)):
        # gloo would take the address of the host's name, which is often a loopback address
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    dist.init_process_group(
        backend, store=store, rank=info.rank, world_size=info.world_size, timeout=timedelta(seconds=seconds)
    )
    return None if one_machine else PeerWatchdog(own, peers, listener, seconds=seconds)


@contextmanager
def join_process_group(seconds: float) -> Iterator[ProcessGroup]:
    """The group that torchrun, Slurm or Kubernetes gives in RANK, WORLD_SIZE and LOCAL_RANK.

    `seconds` is how long a process waits for others, here and in every collective.
    """
    info = rank_from_environment()
    assert info is not None
    device = _choose_device(info)
    make_deterministic(device)
    watchdog = _join(info, info.master, BACKENDS[device.type], seconds) if info.master else None
    try:
        yield ProcessGroup(
            rank=info.rank,
            world_size=info.world_size,
            local_world_size=info.local_world_size,
            device=device,
            watchdog=watchdog,
        )
    finally:
        if info.world_size > 1:
            dist.destroy_process_group()
