"""SIGKILL for one process after the other while a story goes on, and what must be gone afterwards."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from team import Team

from deepmark.registry.versions import MODEL
from deepmark.tracking.mlflow_store import open_client, store_errors, tracking_uri
from deepmark.workspace.layout import Workspace

Pick = Callable[[Team], list[psutil.Process]]

GONE_WITHIN = 20.0
"""Seconds for what was below a killed process to be gone too, on two busy cores."""


def _commands(team: Team, *words: str) -> list[psutil.Process]:
    return [process for process in team.processes() if _says(process, *words)]


def _says(process: psutil.Process, *words: str) -> bool:
    with suppress(psutil.Error):
        line = process.cmdline()
        return process.status() != psutil.STATUS_ZOMBIE and all(any(word in one for one in line) for word in words)
    return False


def _run_workers(team: Team) -> list[psutil.Process]:
    """Whose parent, the code server, may be gone."""
    return [one for one in _commands(team, "spawn_main") if not _below_a_command(one)]


def _below_a_command(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any(_says(parent, "bin/deepmark") for parent in process.parents())
    return False


def _training(team: Team) -> list[psutil.Process]:
    """Its ranks, and the launcher above them."""
    ranks = _commands(team, "deepmark.train.worker")
    with suppress(psutil.Error):
        return [*ranks, *{parent for rank in ranks if (parent := rank.parent())}]
    return []


def _stages(team: Team, *names: str) -> list[psutil.Process]:
    return [one for name in names for one in _commands(team, "bin/deepmark", name)]


TARGETS: dict[str, Pick] = {
    "data": lambda team: _stages(team, "ingest", "shard"),
    "training": _training,
    "evaluation": lambda team: _stages(team, "predict", "evaluate", "export", "crossvalidate", "audit", "report"),
    "release": lambda team: _stages(team, "register", "promote"),
    "run worker": _run_workers,
    "daemon": lambda team: _commands(team, "dagster._daemon"),
    "code server": lambda team: _commands(team, "dagster", "grpc"),
}

PLAN = (
    ("training", "run worker", "code server", "evaluation", "daemon", "release", "run worker"),
    ("data", "daemon", "training", "code server", "run worker", "evaluation", "release"),
    ("code server", "training", "daemon", "evaluation", "run worker", "release"),
)
"""For each retraining. A stage that is killed is tried again twice in the same run."""


@dataclass
class Killer:
    """Kills, some seconds apart, whatever is next in the plan, as soon as there is one."""

    chance: random.Random
    plan: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    _next: float = 0.0

    def __call__(self, team: Team) -> None:
        if time.monotonic() < self._next or not self.plan:
            return
        name, everything = self.plan[0], team.processes()
        alive = TARGETS[name](team)
        if not alive:
            return
        victim = self.chance.choice(alive)
        with suppress(psutil.NoSuchProcess):
            below, line = victim.children(recursive=True), _name(victim)
            victim.kill()
            self.plan.pop(0)
            self.done[name] += 1
            team.tell(f"  kill {self.done.total()}, {name}{f': {line}' if line else ''}")
            self._await_the_end(name, [victim, *{"daemon": everything, "code server": []}.get(name, below)])
            self._next = time.monotonic() + self.chance.uniform(1, 15)

    def _await_the_end(self, name: str, doomed: list[psutil.Process]) -> None:
        _, alive = psutil.wait_procs(doomed, timeout=GONE_WITHIN)
        assert not alive, f"still there after the {name} was killed: {[_line(one) for one in alive]}"


def left_behind(workspace: Workspace) -> list[str]:
    """Processes that work in the workspace, drafts that nobody will finish, a lock that nobody holds."""
    found = [path.relative_to(workspace.root).as_posix() for path in workspace.root.rglob("*.unfinished")]
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == workspace.root:
                found.append(_line(process))
    with store_errors(tracking_uri(workspace.root)):
        client = open_client(workspace.root)
        found += [model.name for model in client.search_registered_models() if model.name != MODEL]
        for experiment in client.search_experiments():
            runs = client.search_runs([experiment.experiment_id])
            found += [f"run {run.info.run_id}" for run in runs if run.info.status == "RUNNING"]
    return found


def _name(process: psutil.Process) -> str:
    """What it does, in a few words of its command line."""
    words = process.cmdline()
    if "-m" in words:
        return " ".join(words[words.index("-m") + 1 :][:3])
    return " ".join(Path(word).name for word in words[1:4] if "spawn_main" not in word and not word.startswith("-"))


def _line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:120]}"
    return f"{process.pid}"
