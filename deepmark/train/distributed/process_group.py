"""One process a GPU, or a few on the CPU: who we are among them, and what we tell each other."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.addresses import interface_of, outer_address, wait_for_port
from deepmark.train.distributed.peer_watchdog import Peer, Watch, listen
from deepmark.train.distributed.rendezvous import sign


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Which process of a training this is, as torchrun or a scheduler announced it."""

    rank: int
    world: int
    local_rank: int
    """Among the processes of this machine: the number of its GPU."""

    local_world: int
    master: tuple[str, int] | None
    """Host and port where the first process keeps the store; None for a single process."""


def _number(name: str, default: str | None = None, *, least: int = 0) -> int:
    text = os.environ.get(name, default)
    if text is None or not text.isdecimal() or int(text) < least:
        found = "is not set" if text is None else f"is {text!r}"
        raise DeepmarkError(
            f"{name} {found}, and must be a whole number from {least} on. Whoever sets RANK sets WORLD_SIZE, and for "
            "several processes LOCAL_RANK, MASTER_ADDR and MASTER_PORT. Without RANK, `deepmark train` starts its own."
        )
    return int(text)


def announced_place() -> Place | None:
    """The place that RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT announce; None where RANK is not set.

    Raises DeepmarkError for values that cannot be.
    """
    if "RANK" not in os.environ:
        return None
    rank, world, master = _number("RANK"), _number("WORLD_SIZE", least=1), None
    if rank >= world:
        raise DeepmarkError(f"RANK is {rank}, and must be below WORLD_SIZE, {world}: ranks are counted from 0.")
    if world > 1:
        master = (os.environ.get("MASTER_ADDR", ""), _number("MASTER_PORT", least=1))
        if not master[0]:
            raise DeepmarkError("MASTER_ADDR is not set: the name or address of the machine of rank 0.")
    return Place(
        rank=rank,
        world=world,
        local_rank=_number("LOCAL_RANK", "0"),
        local_world=_number("LOCAL_WORLD_SIZE", "1", least=1),
        master=master,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """This process among those that train together."""

    rank: int
    world: int
    local_world: int
    """Processes on this machine."""

    device: torch.device
    watch: Watch | None = None
    """Over the other machines, where there are any."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes, logs and speaks for all."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place; the same bits for the same processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def agree(self, value: str | None) -> str | None:
        """What the first process says; the others' values do not count."""
        if self.world == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values)
        return values[0]

    def share_buffers(self, module: nn.Module) -> None:
        """Everybody takes the first process's buffers: the running statistics of its batch normalisation."""
        if self.world > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)


def be_exact(device: torch.device) -> None:
    """On a CPU, the same bits every time: gradients of gathered cells are added up in order.

    For the same number of OpenMP threads, that is: the kernels share out their sums by it.
    """
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        # Its other effect, to fill every new buffer, costs 4% of a step.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _choose_device(place: Place) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    gpus = torch.cuda.device_count()
    if place.local_rank >= gpus > 1:
        raise DeepmarkError(f"LOCAL_RANK is {place.local_rank}, this machine has {gpus} GPUs: one process a GPU.")
    device = torch.device("cuda", 0 if gpus == 1 else place.local_rank)  # a scheduler may show each its own alone
    torch.cuda.set_device(device)
    return device


def _join(place: Place, master: tuple[str, int], backend: str, seconds: float) -> Watch | None:
    """Meet the other processes and watch over the other machines, if there are any.

    Raises DeepmarkError saying who came, if not all did.
    """
    deadline, found = time.monotonic() + seconds, []
    try:
        if place.rank > 0 or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True):
            wait_for_port(*master, seconds=seconds)
        address = outer_address(master[0])
        listener = listen(address) if place.local_rank == 0 else None
        port = listener.getsockname()[1] if listener else 0
        own = Peer(rank=place.rank, machine=socket.gethostname(), address=address, port=port)
        store = next(rendezvous("env://", timeout=timedelta(seconds=seconds)))[0]
        key = f"deepmark/peers/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
        left = deadline - time.monotonic()
        found = sign(store, key, json.dumps(asdict(own)), wanted=place.world, seconds=left)
    except (OSError, dist.DistError) as error:
        why = str(error).splitlines()[0]
    else:
        why = "the others did not come"
    if len(found) < place.world:
        raise DeepmarkError(
            f"rank {place.rank} met {len(found)} of {place.world} processes at {master[0]}:{master[1]} within "
            f"{seconds:g} s ({why}). Look for the reason at the others; params.yaml: train: launch: timeout_seconds "
            "is how long they wait."
        )
    peers = sorted((Peer(**json.loads(line)) for line in found), key=lambda peer: peer.rank)
    one_machine = all(peer.shares_machine(own) for peer in peers)
    if one_machine and listener:
        listener.close()
    if not one_machine and (interface := interface_of(address)):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)  # gloo asks for the host's name, often a loopback
    dist.init_process_group(
        backend, store=store, rank=place.rank, world_size=place.world, timeout=timedelta(seconds=seconds)
    )
    return None if one_machine else Watch(own, peers, listener, seconds=seconds)


@contextmanager
def joined_group(seconds: float) -> Iterator[Group]:
    """The group that torchrun, Slurm or Kubernetes announced in RANK, WORLD_SIZE and LOCAL_RANK.

    `seconds` is how long a process waits for another, here and in every collective.
    """
    place = announced_place()
    assert place is not None
    device = _choose_device(place)
    be_exact(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    watch = _join(place, place.master, backend, seconds) if place.master else None
    try:
        yield Group(rank=place.rank, world=place.world, local_world=place.local_world, device=device, watch=watch)
    finally:
        if place.world > 1:
            dist.destroy_process_group()
