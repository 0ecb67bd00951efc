"""The pool `gpu` on a cluster: as many stages at a time as the cluster has GPUs, where params.yaml says engine: ray."""

import json
import subprocess
import sys
from pathlib import Path

from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.layout import Workspace
from pipelines.instance import open_instance

POOL = "gpu"


def widen_gpu_pool(workspace: Path) -> int | None:
    """Give the pool a slot for each GPU of the cluster, and one at least; returns how many, and None for engine: local.

    Ray keeps the stages from each other's GPUs. On one machine the pool stays as dagster.yaml or the team has it. Where
    no cluster answers, a warning says so, and the pool stays as well.
    """
    if Workspace(workspace).params.compute.engine != "ray":
        return None
    gpus = cluster_gpus(workspace)
    if gpus is None:
        return None
    with open_instance(workspace) as instance:
        instance.event_log_storage.set_concurrency_slots(POOL, max(1, gpus))
    return max(1, gpus)


def cluster_gpus(workspace: Path) -> int | None:
    """The GPUs of the cluster; None, and a warning, where it does not answer.

    Asked in a process of its own, because a process that has joined a cluster leaves its signals to Ray.
    """
    command = [str(tool("deepmark")), "cluster", "check", "--json", "--workspace", str(workspace)]
    done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=False)
    if done.stdout.startswith("{"):  # also where something is wrong with the cluster
        return sum(machine["gpus"] for machine in json.loads(done.stdout)["machines"])
    print(f"warning: the pool {POOL} keeps its width: {done.stderr.strip()}", file=sys.stderr, flush=True)
    return None
