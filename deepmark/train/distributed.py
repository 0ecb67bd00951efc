"""One process a GPU, or a few on the CPU: who we are among them, and what we tell each other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """This process among those that train together."""

    rank: int
    world: int
    local_world: int
    """Processes on this machine."""

    device: torch.device

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


@contextmanager
def joined_group() -> Iterator[Group]:
    """The group that torchrun, Slurm or Kubernetes announced in RANK, WORLD_SIZE and LOCAL_RANK."""
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    be_exact(device)
    local_world = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", rank=rank, world_size=world)
    try:
        yield Group(rank=rank, world=world, local_world=local_world, device=device)
    finally:
        if world > 1:
            dist.destroy_process_group()
