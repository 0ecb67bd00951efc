"""Start one training process a GPU under torchrun, and say in one message why it failed if it does."""

import json
import logging
import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing import api as multiprocessing_api
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from deepmark.errors import DeepmarkError

_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait by spinning take the loader's cores
    # glibc gives large buffers back after every step and takes page faults for them in the next: 5% of a step
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
}


class RankError(DeepmarkError):
    """A training process died; the message holds its own traceback."""


def count_processes(wanted: int | Literal["auto"]) -> int:
    """How many processes train on this machine.

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


def _reason(error_file: Path) -> Exception:
    """What a rank wrote down when it failed."""
    message = json.loads(error_file.read_text("utf-8"))["message"]
    kind, _, text = message["message"].partition(": ")
    if kind == DeepmarkError.__name__:
        return DeepmarkError(text)
    traceback = message["extraInfo"]["py_callstack"]
    return RankError(f"rank {error_file.parent.name} of the training failed: {kind}: {text}\n{traceback}".rstrip())


def _explain(failures: dict[int, ProcessFailure], errors: Path) -> Exception:
    """Why the training failed: what the rank that failed first says, or the signal that ended one.

    torch's own answer knows whole seconds, and the processes that have ended: where a rank is slow to end, it names
    one that lost its connection to it.
    """
    for rank, failure in failures.items():
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:  # which the launcher sends to the others
            reason = f"killed by {failure.signal_name()}; out of memory is the usual reason for SIGKILL"
            return RankError(f"rank {rank} of the training failed: {reason}.")
    files = sorted(errors.rglob("error.json"), key=lambda file: file.stat().st_mtime_ns)
    if files:
        return _reason(files[0])
    return RankError(f"ranks {', '.join(map(str, failures))} of the training failed without a reason; see above.")


def run_workers(workspace: Path, processes: int) -> None:
    """Train in this many processes on this machine and wait for them; below a scheduler's RANK, be one of its.

    Raises DeepmarkError for what a rank reported as the user's to mend, RankError with the rank's own traceback for
    anything else.
    """
    command = ["-m", "deepmark.train.worker", "--workspace", str(workspace)]
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        os.execv(sys.executable, [sys.executable, *command])
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    with TemporaryDirectory(prefix="deepmark-train-") as errors:
        try:
            elastic_launch(_config(processes, errors), sys.executable)(*command, "--launcher", str(os.getpid()))
        except ChildFailedError as error:
            raise _explain(error.failures, Path(errors)) from None
        except SignalException as stop:
            raise DeepmarkError(
                f"stopped by {stop.sigval.name}. The same command goes on from the last checkpoint."
            ) from None


def _config(processes: int, errors: str) -> LaunchConfig:
    logging.getLogger(multiprocessing_api.__name__).setLevel(logging.CRITICAL)  # we tell what it would
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="deepmark",
        logs_specs=DefaultLogsSpecs(log_dir=errors),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        monitor_interval=0.1,
    )
