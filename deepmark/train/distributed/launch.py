"""Starts one training process per GPU under torchrun, and explains a failure in one message."""

import logging
import os
import re
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch import distributed as dist
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from deepmark.errors import DeepmarkError
from deepmark.params import LaunchParams
from deepmark.train.distributed.peer_watchdog import LostMachineError
from deepmark.train.distributed.rendezvous import Rendezvous, join_rendezvous
from deepmark.train.distributed.torch_internals import (
    LAUNCHER_LOGGER,
    RENDEZVOUS_BACKEND,
    RankFailure,
    read_errors,
)

_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait by spinning would take the loader's cores
    # otherwise glibc returns large buffers to the system after every step, and page faults cost 5% of the next
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    # NCCL's watchdog ends a process without aborting its collective first: no process goes on with an incomplete sum
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "3",
}
_PEER_GONE = re.compile(r"failed: Dist\w*Error|gloo|NCCL|[Cc]onnection (was )?(closed|reset|refused)|Broken pipe")
"""In the error of a rank that lost its connection to another, which ended first."""

_END_SECONDS = 30
"""Between the signal that ends a training and SIGKILL: time for a checkpoint."""


class RankError(DeepmarkError):
    """A training process died; the message holds its own traceback."""


def count_processes(wanted: int | Literal["auto"]) -> int:
    """The number of processes that train on this machine.

    Raises DeepmarkError where more are wanted than there are GPUs; without any GPU, processes share the CPU.
    """
    gpus = torch.cuda.device_count()
    if wanted == "auto":
        return max(1, gpus)
    if gpus and wanted > gpus:
        raise DeepmarkError(
            f"params.yaml: train: launch: nproc_per_node is {wanted}, this machine has {gpus} GPU(s). Lower it, or "
            "set it to auto."
        )
    return wanted


def _reasons(errors: Path, first_rank: int) -> list[Exception]:
    """The errors of this machine's ranks, which count from `first_rank`: lost machines first, then by time."""
    reasons = [_as_error(failure, first_rank) for failure in read_errors(errors)]
    return sorted(reasons, key=lambda reason: not isinstance(reason, LostMachineError))


def _as_error(failure: RankFailure, first_rank: int) -> Exception:
    for ours in (DeepmarkError, LostMachineError):
        if failure.kind == ours.__name__:
            return ours(failure.message)
    rank = first_rank + failure.local_rank
    text = f"rank {rank} of the training failed: {failure.kind}: {failure.message}\n{failure.traceback}"
    return RankError(text.rstrip())


def _explain(failures: dict[int, ProcessFailure], errors: Path) -> Exception:
    """Why the training failed: the error of the rank that failed first, or the signal that ended one.

    torch's own answer compares whole seconds, and only processes that have ended: where the rank at fault is slow to
    end, it names another one that lost its connection to it.
    """
    rank, failure = next(iter(failures.items()))
    reasons = _reasons(errors, rank - failure.local_rank)
    if reasons and not (isinstance(reasons[0], RankError) and _PEER_GONE.search(str(reasons[0]))):
        return reasons[0]  # ranks that ended by SIGTERM got it from the launcher, because this one had failed
    for number in (signal.SIGTERM, signal.SIGINT):
        if any(failure.exitcode == 128 + number for failure in failures.values()):
            return _stopped(number)
    for rank, failure in failures.items():
        if (
            failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM
        ):  # the launcher sends SIGTERM to the other ranks
            reason = f"killed by {failure.signal_name()}; out of memory is the usual reason for SIGKILL"
            return RankError(f"rank {rank} of the training failed: {reason}.")
    if reasons:
        return reasons[0]
    return RankError(f"ranks {', '.join(map(str, failures))} of the training failed without a reason; see above.")


def _stopped(by: signal.Signals) -> DeepmarkError:
    return DeepmarkError(f"stopped by {by.name}. The same command goes on from the last checkpoint.")


def run_workers(workspace: Path, run_folder: Path, processes: int, launch: LaunchParams) -> bool:
    """Train in this many processes on each machine and wait for this one's; returns whether rank 0 was among them.

    Checkpoints go to `run_folder`; its name keeps trainings apart that use the same rendezvous.

    Raises DeepmarkError for what a rank reported as the user's mistake, LostMachineError naming a machine that was
    lost, RankError with the rank's own traceback for anything else.
    """
    command = ["-m", "deepmark.train.worker", "--workspace", str(workspace), "--run-folder", str(run_folder)]
    command += ["--launcher", str(os.getpid())]
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    rendezvous, run_id = None, run_folder.name
    if launch.nnodes > 1:
        assert launch.rendezvous is not None
        rendezvous = join_rendezvous(
            launch.rendezvous, run_id=run_id, machines=launch.nnodes, seconds=launch.timeout_seconds
        )
    with TemporaryDirectory(prefix="deepmark-train-") as errors:
        try:
            config = _config(processes, launch, rendezvous, run_id, errors)
            return 0 in elastic_launch(config, sys.executable)(*command)
        except ChildFailedError as error:
            raise _explain(error.failures, Path(errors)) from None
        except (RendezvousError, dist.DistError) as error:
            raise LostMachineError(
                f"the machine at {launch.rendezvous} was lost while all met there ({error}). Start the same command "
                "on every machine again."
            ) from None
        except SignalException as stop:
            raise _stopped(stop.sigval) from None


def _config(
    processes: int, launch: LaunchParams, rendezvous: Rendezvous | None, run_id: str, errors: str
) -> LaunchConfig:
    logging.getLogger(LAUNCHER_LOGGER).setLevel(logging.CRITICAL)  # `_explain` says the same in one message
    seconds = max(1, int(launch.timeout_seconds))
    timeouts = {"timeout": seconds, "read_timeout": seconds}
    return LaunchConfig(
        min_nodes=launch.nnodes,
        max_nodes=launch.nnodes,
        nproc_per_node=processes,
        run_id=run_id,
        logs_specs=DefaultLogsSpecs(log_dir=errors),
        rdzv_backend=RENDEZVOUS_BACKEND,
        rdzv_endpoint=launch.rendezvous if rendezvous and launch.rendezvous else "localhost:0",
        rdzv_configs={**timeouts, "is_host": rendezvous is None or rendezvous.is_host},
        local_addr=rendezvous.address if rendezvous else "localhost",
        max_restarts=0,
        monitor_interval=0.1,
        shutdown_timeout=_END_SECONDS,
    )
