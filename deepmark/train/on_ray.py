"""Trains on a Ray cluster: Ray Train places the processes, and starts them again where machines are lost.

All else is as on one machine: the rank function, its checkpoints, from the newest of which every start goes on, and one
message for what a user can mend. Import this module after `compute.ray_cluster.connect`, whose settings Ray reads when
it is imported.
"""

import os
import re
import sys
import uuid
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from shutil import rmtree
from threading import Thread
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train import ControllerError, TrainingFailedError, UserCallback, get_context
from ray.train._internal.utils import get_address_and_port
from ray.train.backend import Backend, BackendConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.util import get_node_ip_address

from deepmark.compute.ray_cluster import Machine, is_lost, on_every_machine, warn
from deepmark.errors import DeepmarkError
from deepmark.params import ComputeParams
from deepmark.train.distributed.launch import END_SECONDS, ENVIRONMENT, stopped
from deepmark.train.distributed.meeting import interface_of, use_interface
from deepmark.train.distributed.process_group import LostPeerError
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.ray_rank import Job, run_rank_on_ray
from deepmark.workspace.layout import Workspace

_HANDED_ON = re.compile("^(MLFLOW|AWS|DEEPMARK|DAGSTER_RUN_ID)")
"""Names of variables that the processes get from this one's environment."""

_LOOK_SECONDS = 0.5
"""Between two looks at the log of rank 0, and at signals."""


class Verdict(UserCallback):
    """Decides after a failure, in a process of Ray's: after a loss all start again, an error ends the training."""

    def __init__(self, log: Path, restarts: int) -> None:
        self.log, self.restarts, self.losses = log, restarts, 0

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        found = {rank: getattr(error, "_base_exc", error) for rank, error in sorted(worker_exceptions.items())}
        for error in found.values():
            if isinstance(error, DeepmarkError) and not isinstance(error, LostPeerError):
                raise error
        self.losses += 1
        if self.losses <= self.restarts:
            goes_on = f"the training goes on from its last checkpoint (restart {self.losses} of {self.restarts})"
            with self.log.open("a", encoding="utf-8") as log:
                log.write(f"warning: {losses(found, ray.nodes())}: {goes_on}.\n")


def losses(found: Mapping[int, Exception], nodes: Iterable[Mapping[str, Any]]) -> str:
    """In a line, which processes were lost, and on which of Ray's `nodes`, as far as their errors tell it."""
    dead = {rank: str(error) for rank, error in found.items() if not isinstance(error, LostPeerError)}
    if not dead:
        return str(next(iter(found.values()))).partition(". Its own output")[0]
    return f"lost {', '.join(f'rank {rank}{_place_in(text, nodes)}' for rank, text in dead.items())}"


def _place_in(text: str, nodes: Iterable[Mapping[str, Any]]) -> str:
    for node in nodes:
        host, address = node["NodeManagerHostname"], node["NodeManagerAddress"]
        if node["NodeID"] in text or re.search(rf"\bip: {re.escape(address)}\b", text):
            return f" on {host} ({address})"
    return ""


def _set_place(master: tuple[str, int]) -> None:
    """Set the rank of this process, and where the processes meet, in its environment, as torchrun does."""
    use_interface(interface_of(get_node_ip_address()))
    context = get_context()
    os.environ |= {
        "RANK": str(context.get_world_rank()),
        "WORLD_SIZE": str(context.get_world_size()),
        "LOCAL_RANK": str(context.get_local_rank()),
        "LOCAL_WORLD_SIZE": str(context.get_local_world_size()),
        "MASTER_ADDR": master[0],
        "MASTER_PORT": str(master[1]),
    }


class _Places(Backend):
    """Tells the processes their ranks; they join each other themselves, when they train.

    Ray Train's own way joins them before, in a call that waits for all: a machine that is lost meanwhile was then told
    only when the time of `timeout_seconds` was over.
    """

    share_cuda_visible_devices = True

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        worker_group.execute(_set_place, worker_group.execute_single(0, get_address_and_port))


class _Torch(TorchConfig):
    @property
    def backend_cls(self) -> type[Backend]:
        return _Places


def run_on_ray(workspace: Workspace, run_folder: Path, cluster: list[Machine], *, processes: int) -> None:
    """Train in this many processes of the cluster until they end; checkpoints go to `run_folder`.

    Raises DeepmarkError for what a rank reported as the user's mistake, after a signal, and where machines were lost
    more often than `compute.restarts`; RankError with the rank's own traceback for anything else.
    """
    params = workspace.params.compute
    job = Job(
        workspace=workspace.root.resolve(),
        run_folder=run_folder.resolve(),
        folder=workspace.runs.resolve() / "ray" / f"{run_folder.name}-{uuid.uuid4().hex[:8]}",
        threads=int(os.environ.get("OMP_NUM_THREADS") or 1),
        seconds=params.timeout_seconds,
        environment={name: value for name, value in os.environ.items() if _HANDED_ON.match(name)},
    )
    cores, on_gpus = sum(machine.cores for machine in cluster), any(machine.gpus for machine in cluster)
    if cores < processes:
        warn(f"{processes} processes train on a core or more each, and the cluster has {cores:g}: they wait for more.")
    job.folder.mkdir(parents=True)
    try:
        _check_shared(job.folder, cluster)
        job.log.touch()
        _wait_for(_trainer(job, params, processes, on_gpus=on_gpus), job, params)
    finally:
        rmtree(job.folder, ignore_errors=True)


def _check_shared(folder: Path, cluster: list[Machine]) -> None:
    seen = on_every_machine(partial(os.path.isdir, str(folder)), [machine for machine in cluster if machine.works])
    blind = [machine.name for machine, answer in seen.items() if answer is not True and not is_lost(answer)]
    if blind:
        raise DeepmarkError(
            f"{folder}: is not seen on {', '.join(blind)}. A workspace has to lie in a folder that all machines of the "
            "cluster share, under the same path."
        )


def _trainer(job: Job, params: ComputeParams, processes: int, *, on_gpus: bool) -> TorchTrainer:
    seconds = max(1, int(params.timeout_seconds))
    settings = {
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # of `print`, whose lines would stand in the log twice
        # of waiting for a machine in the place of a lost one, up to `restarts` times
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(seconds),
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    return TorchTrainer(
        partial(run_rank_on_ray, job),
        torch_config=_Torch(),
        scaling_config=ScalingConfig(num_workers=processes, use_gpu=on_gpus, placement_strategy="SPREAD"),
        run_config=RunConfig(  # type: ignore[arg-type]  # Ray's stubs name the class of its first version
            name=job.folder.name,
            storage_path=str(job.folder.parent),
            failure_config=FailureConfig(max_failures=params.restarts, controller_failure_limit=params.restarts),
            callbacks=[Verdict(job.log, params.restarts)],
            worker_runtime_env={"env_vars": ENVIRONMENT},
            logging_config=LoggingConfig(log_level="CRITICAL"),  # `Verdict` says the same in a line
        ),
    )


def _wait_for(trainer: TorchTrainer, job: Job, params: ComputeParams) -> None:
    """Wait for the end of the training, repeating the log, and hand on a signal; raises what ended it."""
    ends: list[Exception | None] = []
    thread = Thread(target=lambda: ends.append(_end_of(trainer, params)), daemon=True)
    stop, waited = StopSignal(), 0.0
    stop.install()
    with stop.deferred(), job.log.open(encoding="utf-8") as log:
        thread.start()
        while thread.is_alive() and waited < END_SECONDS:
            thread.join(_LOOK_SECONDS)
            if stop.is_received:
                job.stop.touch()
                waited += _LOOK_SECONDS
            for line in log:
                print(line, end="", file=sys.stderr, flush=True)
        if stop.received is not None:
            raise stopped(stop.received)
        (end,) = ends
        if end is not None:
            raise end


def _end_of(trainer: TorchTrainer, params: ComputeParams) -> Exception | None:
    try:
        trainer.fit()
    except ControllerError as error:
        cause = error.controller_failure
        if isinstance(cause, DeepmarkError):
            return cause
        return DeepmarkError(
            f"the cluster could not start the processes of the training ({_line(cause)}). `deepmark cluster check` "
            "shows what it has; then run the same command again."
        )
    except TrainingFailedError as error:
        return DeepmarkError(
            f"the training lost machines or processes more than {params.restarts} times (compute.restarts), the last "
            f"time so: {_line(error)}. The same command goes on from the last checkpoint."
        )
    except RayError as error:
        return DeepmarkError(
            f"the Ray cluster was lost ({_line(error)}). The same command goes on from the last checkpoint."
        )
    except Exception as error:
        return error
    return None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
