"""Joins this process to the Ray cluster that params.yaml names, and refuses one whose machines run other software.

The settings differ from Ray's defaults for reasons that were measured: without those of keep-alive, a driver waits more
than two minutes for a machine whose cable is cut, and a wrong address or token is tried for as long.
"""

import os
import socket
import sys
from dataclasses import dataclass
from typing import Any

from deepmark.compute.software import differences, software
from deepmark.errors import DeepmarkError, extras_named
from deepmark.params import ComputeParams

NODE_SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_grpc_client_keepalive_time_ms": "10000",
    "RAY_grpc_client_keepalive_timeout_ms": "10000",
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "3000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "4",
}
"""What every machine needs in its environment at `ray start`; a lost one is then noticed within some 20 seconds."""

DRIVER_SETTINGS = {
    **NODE_SETTINGS,
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # of the first question to the head: 20 by default, each up to 40 seconds
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": "3",  # for ever by default
}

ANSWER_SECONDS = 5
"""How long the head's port may take to accept a connection."""

CHECK_SECONDS = 120
"""How long the machines may take to say what they run: each starts a process of Python first."""

_KIND = "accelerator_type:"
"""What the name of the resource begins with by which Ray tells the kind of a GPU."""

JOIN = "docs/scale.md says how a machine joins a cluster."


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine of the cluster that is alive."""

    id: str
    host: str
    address: str
    cores: float
    gpus: float
    gpu: str | None
    """What Ray calls the kind of its GPUs, such as H100."""

    head: bool

    @property
    def name(self) -> str:
        return f"{self.host} ({self.address})"

    @property
    def works(self) -> bool:
        """Whether pieces of a stage may run there."""
        return self.cores > 0 or self.gpus > 0


def connect(params: ComputeParams) -> list[Machine]:
    """Join the cluster, and return its machines; a process that has joined one stays in it.

    Raises DeepmarkError where Ray is missing, no cluster answers, it refuses our token, or a machine that would work
    runs other software than this one.
    """
    join(params)
    check_software([machine for machine in machines() if machine.works])
    return machines()


def join(params: ComputeParams) -> None:
    """Join the cluster, whatever its machines run; raises DeepmarkError as `connect` does."""
    for name, value in DRIVER_SETTINGS.items():
        os.environ.setdefault(name, value)
    with extras_named():
        import ray

    if not ray.is_initialized():
        _join(ray, params.address)


def machines() -> list[Machine]:
    """The machines of the cluster that are alive, the head first, then by address."""
    import ray

    found = [
        Machine(
            id=node["NodeID"],
            host=node["NodeManagerHostname"],
            address=node["NodeManagerAddress"],
            cores=node["Resources"].get("CPU", 0),
            gpus=node["Resources"].get("GPU", 0),
            gpu=next((name.removeprefix(_KIND) for name in node["Resources"] if name.startswith(_KIND)), None),
            head="node:__internal_head__" in node["Resources"],
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    return sorted(found, key=lambda machine: (not machine.head, machine.address, machine.id))


def _join(ray: Any, address: str) -> None:
    named = os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address
    if named != "auto":
        _check_answer(named)
    # Ray would print to standard output, where a command prints its facts, what it says of processes that die. (2.60)
    ray._private.worker._worker_logs_enabled = False
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise DeepmarkError(_explain(error, named)) from error


def _check_answer(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or "://" in host or not port.isdecimal():
        raise DeepmarkError(
            f"compute.address: {address!r} is not an address of a Ray cluster. Give host:port as `ray start --head` "
            "prints it (ray:// is not used: run `deepmark` on a machine of the cluster), or auto."
        )
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise DeepmarkError(
            f"no Ray cluster answers at {address} ({error.strerror or 'no answer in time'}). Start it with `ray start "
            f"--head`, or correct compute.address or RAY_ADDRESS. {JOIN}"
        ) from None


def _explain(error: Exception, address: str) -> str:
    text = " ".join(str(error).split())
    if "Version mismatch" in text:
        return f"the Ray cluster at {address} runs other software: {text}. Use the same releases on all machines."
    if type(error).__name__ == "AuthenticationError" or "Failed to connect" in text:  # the port was open before
        return (
            f"the Ray cluster at {address} refuses this machine ({text[:200]}): most often the tokens differ. "
            "All machines need RAY_AUTH_MODE=token and the same token in ~/.ray/auth_token, or in the file that "
            "RAY_AUTH_TOKEN_PATH names; `ray get-auth-token --generate` makes one, once."
        )
    if address == "auto":
        return f"this machine belongs to no Ray cluster. Start one with `ray start`, or set compute.address. {JOIN}"
    return f"the Ray cluster at {address} cannot be used from here ({text[:300]}). {JOIN}"


def head_answers() -> bool:
    """Whether the head of the joined cluster accepts a connection."""
    import ray

    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def _call(function: Any) -> Any:
    return function()


def on_every_machine(function: Any, found: list[Machine]) -> dict[Machine, Any]:
    """The result of a function without arguments on each machine, or the exception that it ended with there."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(_call)
    places = [NodeAffinitySchedulingStrategy(machine.id, soft=False) for machine in found]
    refs = {
        task.options(scheduling_strategy=place).remote(function): machine
        for place, machine in zip(places, found, strict=True)
    }
    ready, late = ray.wait(list(refs), num_returns=len(refs), timeout=CHECK_SECONDS) if refs else ([], [])
    results: dict[Machine, Any] = {refs[ref]: TimeoutError(f"no answer in {CHECK_SECONDS} seconds") for ref in late}
    for ref in ready:
        try:
            results[refs[ref]] = ray.get(ref)
        except ray.exceptions.RayError as error:
            results[refs[ref]] = error
    return results


def is_lost(result: Any) -> bool:
    """Whether a machine gave no result because it was lost meanwhile, which is no reason to refuse the others."""
    import ray.exceptions as gone

    return isinstance(result, gone.NodeDiedError | gone.WorkerCrashedError | gone.TaskUnschedulableError)


def check_software(found: list[Machine]) -> None:
    """Raise DeepmarkError where one of the machines runs other software than this one, by its name."""
    lines = []
    for machine, theirs in on_every_machine(software, found).items():
        if is_lost(theirs):
            continue
        if isinstance(theirs, Exception):
            last = str(theirs).strip().splitlines()[-1:] or [type(theirs).__name__]
            lines.append(f"{machine.name} cannot run DeepMark: {last[0]}")
        elif differs := differences(software(), theirs):
            lines.append(f"{machine.name} has {', '.join(differs)}")
    if lines:
        raise DeepmarkError(
            f"the machines of the Ray cluster do not fit together: {'; '.join(sorted(lines))}. Install the same "
            "release, with constraints.txt, on every machine, then start Ray there again; `deepmark cluster check` "
            "shows them."
        )


def warn(text: str) -> None:
    """A line on standard error, which is a stage's log."""
    print(f"warning: {text}", file=sys.stderr, flush=True)
