"""Starts one training process per GPU under torchrun, and explains a failure in one message."""

import logging
import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.process_group import LostPeerError
from deepmark.train.distributed.torch_internals import LAUNCHER_LOGGER, RankFailure, read_errors

ENVIRONMENT = {
    # how often threads look for work before they sleep: with libgomp's 300,000 they would take the loader's cores, and
    # with none (OMP_WAIT_POLICY: PASSIVE) a step of the light network on two cores takes 1.7 times as long
    "GOMP_SPINCOUNT": "10000",
    # otherwise glibc returns large buffers to the system after every step, and page faults cost 5% of the next
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    # NCCL's watchdog ends a process without aborting its collective first: no process goes on with an incomplete sum
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "3",
}
"""Of every process that trains."""
END_SECONDS = 30
"""Between the signal that ends a training and SIGKILL: time for a checkpoint."""


class RankError(DeepmarkError):
    """A training process died; the message holds its own traceback."""


def count_processes(wanted: int | Literal["auto"], *, gpus: int) -> int:
    """The number of processes that train on this machine, or on the cluster.

    Raises DeepmarkError where more are wanted than there are GPUs; without any GPU, processes share the CPU.
    """
    if wanted == "auto":
        return max(1, gpus)
    if gpus and wanted > gpus:
        raise DeepmarkError(
            f"params.yaml: compute: train_processes is {wanted}, and there are {gpus} GPU(s). Lower it, set it to "
            "auto, or train on more machines (docs/scale.md)."
        )
    return wanted


def _as_error(failure: RankFailure) -> Exception:
    for ours in (DeepmarkError, LostPeerError):
        if failure.kind == ours.__name__:
            return ours(failure.message)
    text = f"rank {failure.local_rank} of the training failed: {failure.kind}: {failure.message}\n{failure.traceback}"
    return RankError(text.rstrip())


def _explain(failures: dict[int, ProcessFailure], errors: Path) -> Exception:
    """Why the training failed: the error of the rank that failed first, or the signal that ended one.

    torch's own answer compares whole seconds, and only processes that have ended: where the rank at fault is slow to
    end, it names another one that lost its connection to it.
    """
    reasons = [_as_error(failure) for failure in read_errors(errors)]
    if reasons and not isinstance(reasons[0], LostPeerError):
        return reasons[0]  # ranks that ended by SIGTERM got it from the launcher, because this one had failed
    for number in (signal.SIGTERM, signal.SIGINT):
        if any(failure.exitcode == 128 + number for failure in failures.values()):
            return stopped(number)
    for rank, failure in failures.items():
        if (
            failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM
        ):  # the launcher sends SIGTERM to the other ranks
            reason = f"killed by {failure.signal_name()}; out of memory is the usual reason for SIGKILL"
            return RankError(f"rank {rank} of the training failed: {reason}.")
    if reasons:
        return reasons[0]
    return RankError(f"ranks {', '.join(map(str, failures))} of the training failed without a reason; see above.")


def stopped(by: signal.Signals) -> DeepmarkError:
    """The error of a training that a signal ended."""
    return DeepmarkError(f"stopped by {by.name}. The same command goes on from the last checkpoint.")


def run_workers(workspace: Path, run_folder: Path, *, processes: int, seconds: float) -> None:
    """Train in this many processes of this machine, which wait `seconds` for each other, until they end.

    Checkpoints go to `run_folder`.

    Raises DeepmarkError for what a rank reported as the user's mistake, RankError with the rank's own traceback for
    anything else.
    """
    command = ["-m", "deepmark.train.worker", "--workspace", str(workspace), "--run-folder", str(run_folder)]
    command += ["--launcher", str(os.getpid())]
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    with TemporaryDirectory(prefix="deepmark-train-") as errors:
        try:
            elastic_launch(_config(processes, run_folder.name, seconds, errors), sys.executable)(*command)
        except ChildFailedError as error:
            raise _explain(error.failures, Path(errors)) from None
        except SignalException as stop:
            raise stopped(stop.sigval) from None


def _config(processes: int, run_id: str, seconds: float, errors: str) -> LaunchConfig:
    logging.getLogger(LAUNCHER_LOGGER).setLevel(logging.CRITICAL)  # `_explain` says the same in one message
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=run_id,
        logs_specs=DefaultLogsSpecs(log_dir=errors),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        rdzv_configs={"timeout": max(1, int(seconds)), "is_host": True},
        local_addr="localhost",
        max_restarts=0,
        monitor_interval=0.1,
        shutdown_timeout=END_SECONDS,
    )
