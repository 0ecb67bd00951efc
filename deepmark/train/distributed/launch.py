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
from torch import distributed as dist
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing import api as multiprocessing_api
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from deepmark.errors import DeepmarkError
from deepmark.params import LaunchParams
from deepmark.train.distributed.peer_watchdog import LostMachineError
from deepmark.train.distributed.rendezvous import BACKEND, Meeting, meet

_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait by spinning take the loader's cores
    # glibc gives large buffers back after every step and takes page faults for them in the next: 5% of a step
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    # NCCL's watchdog, where it ends a process, does not stop the sum under way first: nobody goes on with half of it
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "3",
}
_END_SECONDS = 30
"""From the signal that ends a training to SIGKILL: time for a checkpoint."""


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


def _reason(error_file: Path, first_rank: int) -> Exception:
    """What a rank of this machine, whose ranks count from `first_rank`, wrote down when it failed."""
    message = json.loads(error_file.read_text("utf-8"))["message"]
    kind, _, text = message["message"].partition(": ")
    for ours in (DeepmarkError, LostMachineError):
        if kind == ours.__name__:
            return ours(text)
    traceback = message["extraInfo"]["py_callstack"]
    rank = first_rank + int(error_file.parent.name)
    return RankError(f"rank {rank} of the training failed: {kind}: {text}\n{traceback}".rstrip())


def _reasons(errors: Path, first_rank: int) -> list[Exception]:
    """What the ranks of this machine wrote down, the first to fail first; a lost machine before all, as the cause."""
    files = sorted(errors.rglob("error.json"), key=lambda file: file.stat().st_mtime_ns)
    return sorted(
        (_reason(file, first_rank) for file in files), key=lambda reason: not isinstance(reason, LostMachineError)
    )


def _explain(failures: dict[int, ProcessFailure], errors: Path) -> Exception:
    """Why the training failed: what the rank that failed first says, or the signal that ended one.

    torch's own answer knows whole seconds, and the processes that have ended: where a rank is slow to end, it names
    one that lost its connection to it.
    """
    rank, failure = next(iter(failures.items()))
    reasons = _reasons(errors, rank - failure.local_rank)
    if reasons and isinstance(reasons[0], LostMachineError):
        return reasons[0]
    for number in (signal.SIGTERM, signal.SIGINT):
        if any(failure.exitcode == 128 + number for failure in failures.values()):
            return _stopped(number)
    for rank, failure in failures.items():
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:  # which the launcher sends to the others
            reason = f"killed by {failure.signal_name()}; out of memory is the usual reason for SIGKILL"
            return RankError(f"rank {rank} of the training failed: {reason}.")
    if reasons:
        return reasons[0]
    return RankError(f"ranks {', '.join(map(str, failures))} of the training failed without a reason; see above.")


def _stopped(by: signal.Signals) -> DeepmarkError:
    return DeepmarkError(f"stopped by {by.name}. The same command goes on from the last checkpoint.")


def run_workers(workspace: Path, processes: int, launch: LaunchParams, *, run_id: str) -> bool:
    """Train in this many processes on each machine and wait for this one's; whether rank 0 was among them.

    `run_id` keeps trainings apart that meet at one rendezvous.

    Raises DeepmarkError for what a rank reported as the user's to mend, LostMachineError naming a machine that was
    lost, RankError with the rank's own traceback for anything else.
    """
    command = ["-m", "deepmark.train.worker", "--workspace", str(workspace), "--launcher", str(os.getpid())]
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    meeting = None
    if launch.nnodes > 1:
        assert launch.rendezvous is not None
        meeting = meet(launch.rendezvous, run_id=run_id, machines=launch.nnodes, seconds=launch.timeout_seconds)
    with TemporaryDirectory(prefix="deepmark-train-") as errors:
        try:
            config = _config(processes, launch, meeting, run_id, errors)
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


def _config(processes: int, launch: LaunchParams, meeting: Meeting | None, run_id: str, errors: str) -> LaunchConfig:
    logging.getLogger(multiprocessing_api.__name__).setLevel(logging.CRITICAL)  # we tell what it would
    seconds = max(1, int(launch.timeout_seconds))
    patience = {"timeout": seconds, "read_timeout": seconds}
    return LaunchConfig(
        min_nodes=launch.nnodes,
        max_nodes=launch.nnodes,
        nproc_per_node=processes,
        run_id=run_id,
        logs_specs=DefaultLogsSpecs(log_dir=errors),
        rdzv_backend=BACKEND,
        rdzv_endpoint=launch.rendezvous if meeting and launch.rendezvous else "localhost:0",
        rdzv_configs={**patience, "is_host": meeting is None or meeting.is_host},
        local_addr=meeting.address if meeting else "localhost",
        max_restarts=0,
        monitor_interval=0.1,
        shutdown_timeout=_END_SECONDS,
    )
