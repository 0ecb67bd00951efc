"""Starts a training where it belongs: as one process of a scheduler's, on a Ray cluster, or by torchrun here."""

import shutil
from pathlib import Path

import torch

from deepmark.compute.ray_cluster import connect
from deepmark.train.distributed.launch import count_processes, run_workers
from deepmark.train.distributed.process_group import RankInfo, rank_from_environment
from deepmark.train.run_id import run_folder
from deepmark.train.start_checks import check_shards, check_space
from deepmark.train.worker import run_rank
from deepmark.workspace.layout import Workspace


def run_training(workspace: Workspace, *, fresh: bool) -> bool:
    """Train to the end; whether the first process of the training, which writes its results, ran in or below this one.

    Raises DeepmarkError for what a user can mend, before a process is started or after, and RankError for a bug.
    """
    rank = rank_from_environment()
    if rank is None:
        _launch(workspace, fresh=fresh)
        return True
    _join(workspace, rank, fresh=fresh)
    return rank.rank == 0


def _join(workspace: Workspace, rank: RankInfo, *, fresh: bool) -> None:
    """Be the process that a scheduler made of this one; the first of each machine verifies the shards."""
    check_shards(workspace, processes=rank.world_size, verify=rank.local_rank == 0, fresh=fresh)
    run_rank(workspace, _folder(workspace, fresh=fresh and rank.rank == 0))


def _launch(workspace: Workspace, *, fresh: bool) -> None:
    """Start the processes, on the cluster that params.yaml names or on this machine, and wait for their end."""
    compute = workspace.params.compute
    cluster = connect(compute) if compute.engine == "ray" else []
    gpus = int(sum(machine.gpus for machine in cluster)) if cluster else torch.cuda.device_count()
    processes = count_processes(compute.train_processes, gpus=gpus)
    check_space(workspace)
    check_shards(workspace, processes=processes, verify=True, fresh=fresh)
    folder = _folder(workspace, fresh=fresh)
    if cluster:
        from deepmark.train.on_ray import run_on_ray  # after `connect`, whose settings Ray reads at its import

        run_on_ray(workspace, folder, cluster, processes=processes)
    else:
        run_workers(workspace.root, folder, processes=processes, seconds=compute.timeout_seconds)


def _folder(workspace: Workspace, *, fresh: bool) -> Path:
    """The folder of the run's checkpoints; `fresh` deletes those that are there."""
    folder = run_folder(workspace)
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    return folder
