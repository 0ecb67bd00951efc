"""Helpers that start, observe and kill trainings in processes of their own."""

import json
import os
import sqlite3
import subprocess
from pathlib import Path

import psutil
from processes import free_port, processes_naming
from workspaces import run

from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.layout import Workspace

EVERYTHING = {
    "ema": 0.9,
    "evaluate_every": 1,
    "checkpoint_minutes": 0,
    "sync_batch_norm": True,
    "repeat_threshold": 0.6,
    "loss_weights": {"box_giou": 0.5, "box_diou": 0.5, "landmark_vectors_oks": 0.5, "landmark_offset_oks": 0.5},
}
"""Values of the section `train`: all that a run may carry from step to step, and a checkpoint after each."""


def train(workspace: Workspace, *options: str, **variables: str):
    return run("deepmark", "train", "--json", *options, cwd=workspace.root, **variables)


def mlflow_runs(workspace: Workspace) -> dict[str, str]:
    """The status of each run in the workspace's own store."""
    with sqlite3.connect(workspace.root / "mlflow.db") as store:
        found = dict(store.execute("select run_uuid, status from runs"))
    store.close()
    return found


def logged_models(workspace: Workspace) -> int:
    return len(list((workspace.root / "mlartifacts").rglob("MLmodel")))


def losses(workspace: Workspace) -> list[tuple[dict, dict]]:
    history = json.loads(workspace.training_file.read_text("utf-8"))["history"]
    return [(epoch["train"], epoch["validation"]) for epoch in history]


def sabotage(folder: Path, code: str) -> str:
    """A PYTHONPATH with which every Python process runs `code` first."""
    (folder / "sabotage").mkdir()
    (folder / "sabotage/sitecustomize.py").write_text(code, "utf-8")
    return os.pathsep.join(filter(None, [str(folder / "sabotage"), os.environ.get("PYTHONPATH")]))


def under_a_scheduler() -> dict[str, str]:
    """The environment in which `deepmark train` is itself the only process of a training, which saves its launcher."""
    alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    return alone | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}


def working_on(workspace: Workspace) -> list[psutil.Process]:
    """The processes that train in the workspace."""
    return processes_naming(workspace.root)


def started(workspace: Workspace, **variables: str) -> subprocess.Popen[str]:
    command = [tool("deepmark"), "train", "--workspace", workspace.root]
    return subprocess.Popen(command, env=child_environment() | variables, stderr=subprocess.PIPE, text=True)


def kill_all(process: subprocess.Popen[str]) -> None:
    """Kill every process at once, as a power failure does."""
    launcher = psutil.Process(process.pid)
    for each in [launcher, *launcher.children(recursive=True)]:
        each.kill()
    process.communicate()


def steps_saved(folder: Path) -> int:
    """The number of steps in the newest checkpoint, in epochs of three steps."""
    names = [path.name.split("-") for path in folder.glob("*/epoch-????-step-????????")]
    return max((3 * int(epoch) + int(step) for _, epoch, _, step in names), default=0)
