"""Start one training process a GPU under torchrun, and say in one message why it failed if it does."""

import os
import sys
from pathlib import Path
from typing import Literal

import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from deepmark.errors import DeepmarkError


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
            f"params.yaml: train: processes is {wanted}, this machine has {gpus} GPU(s). Lower it, or set it to auto."
        )
    return wanted


def _explain(rank: int, failure: ProcessFailure) -> Exception:
    message = failure.message
    text, traceback = (
        (message.get("message", ""), message.get("extraInfo", {}).get("py_callstack", ""))
        if isinstance(message, dict)
        else (str(message), "")
    )
    kind, _, rest = text.partition(": ")
    if kind == DeepmarkError.__name__:
        return DeepmarkError(rest)
    if failure.signal_name() not in ("<N/A>", None):
        text = f"killed by {failure.signal_name()}; out of memory is the usual reason for SIGKILL"
    return RankError(f"rank {rank} of the training failed: {text}\n{traceback}".rstrip())


def run_workers(workspace: Path, processes: int) -> None:
    """Train in this many processes on this machine and wait for them; below a scheduler's RANK, be one of its.

    Raises DeepmarkError for what a rank reported as the user's to mend, RankError with the rank's own traceback for
    anything else.
    """
    command = ("-m", "deepmark.train.worker", "--workspace", str(workspace))
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        os.execv(sys.executable, (sys.executable, *command))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="deepmark",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        monitor_interval=0.1,
    )
    try:
        elastic_launch(config, sys.executable)(*command)
    except ChildFailedError as error:
        raise _explain(*error.get_first_failure()) from None
