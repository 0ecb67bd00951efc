"""Two processes that train together, forked from the process of the test."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist

from deepmark.train.distributed.process_group import ProcessGroup

CPU = torch.device("cpu")


def _rank(rank: int, folder: Path, work: Callable[[ProcessGroup], Any], results: Any) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    try:
        results.put((rank, work(ProcessGroup(rank=rank, world_size=2, local_world_size=2, device=CPU))))
    except BaseException as error:
        results.put((rank, repr(error)))
        raise
    dist.destroy_process_group()


def on_two_ranks(folder: Path, work: Callable[[ProcessGroup], Any]) -> list[Any]:
    """What `work` returns on each of two processes, which are forked, because importing torch takes seconds."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    ranks = [context.Process(target=_rank, args=(rank, folder, work, results), daemon=True) for rank in (0, 1)]
    for each in ranks:
        each.start()
    found = dict(results.get(timeout=300) for _ in ranks)
    for each in ranks:
        each.join(timeout=30)
    assert [each.exitcode for each in ranks] == [0, 0], found
    return [found[0], found[1]]
