"""Trainings that are killed again and again, and how they end: like one that was never killed, or not.

    python benchmarks/kill_resume.py [--runs 30] [--kills 100] [--seed 1]

A small recipe with all that a run carries (average, best weights, a checkpoint every step) is trained once without a
break, by one process and by two. Then run after run is started, killed by SIGKILL with all its processes, and started
again by the same command, until it ends; a third of the kills come at random moments, the others inside a write: half
a file of tensors or of text, before a flush, before and after a rename, in the middle of a removal, in and after a
transaction of MLflow, while the model is logged. What is compared, by sha256: weights, optimiser, average, best
weights, the history of losses and APs, and the model that is written; and that MLflow has one run, finished, each
metric once per epoch and one model. No kill is retried, and nothing is mended by hand.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from deepmark import stages
from deepmark.schema import SPLITS
from deepmark.synthetic import draw_dataset
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

KILLS = Path(__file__).parents[1] / "tests/kills"
TIMINGS = ("seconds", "samples_per_second", "waiting")


def make_workspace(root: Path, processes: int) -> Workspace:
    workspace = init_workspace(root, "demo")
    yaml, file = YAML(), root / "params.yaml"
    values = yaml.load(file.read_text("utf-8"))
    values["model"]["input_size"] = [64, 64]
    values["train"] |= {"epochs": 2, "batch_size": 4, "ema": 0.9, "evaluate_every": 1, "checkpoint_minutes": 0}
    values["compute"]["train_processes"] = processes
    yaml.dump(values, file)
    draw_dataset(workspace.raw, train=16, validation=6, seed=3)
    for split in SPLITS:
        stages.ingest(Workspace(root), split=split)
        stages.shard(Workspace(root), split=split)
    return Workspace(root)


def start(workspace: Workspace, kill: str | None) -> subprocess.Popen[bytes]:
    env = child_environment() | {"OMP_NUM_THREADS": "1"}
    if kill is not None:
        path = os.pathsep.join(filter(None, [str(KILLS), env.get("PYTHONPATH")]))
        env |= {"DEEPMARK_KILL": kill, "PYTHONPATH": path}
    log = (workspace.root / "train.log").open("ab")
    return subprocess.Popen([tool("deepmark"), "train"], cwd=workspace.root, env=env, stdout=log, stderr=log)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    launcher = psutil.Process(process.pid)
    for each in [launcher, *launcher.children(recursive=True)]:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def outcome(workspace: Workspace) -> dict[str, str]:
    """Everything a training leaves that must not depend on how often it was killed."""
    (last,) = sorted(workspace.runs.glob("train/*/epoch-*"))[-1:]
    state = json.loads((last / "state.json").read_text("utf-8"))
    history = [
        {name: value for name, value in epoch.items() if name not in TIMINGS} for epoch in state["position"]["history"]
    ]
    found = {name.removesuffix(".safetensors"): sha for name, sha in state["sha256"].items()}
    found["model"] = hashlib.sha256(workspace.model_file.read_bytes()).hexdigest()
    found["history"] = hashlib.sha256(json.dumps(history).encode()).hexdigest()
    return found | {"mlflow": _mlflow(workspace), "left behind": _leftovers(workspace)}


def _mlflow(workspace: Workspace) -> str:
    with sqlite3.connect(workspace.root / "mlflow.db") as store:
        runs = store.execute("select status from runs").fetchall()
        twice = store.execute("select key, step from metrics group by key, step having count(*) > 1").fetchall()
        curves = store.execute("select count(*) from metrics").fetchone()[0]
        models = store.execute("select count(*) from logged_models where lifecycle_stage = 'active'").fetchone()[0]
    store.close()
    return f"runs {[status for (status,) in runs]}, {curves} points, twice {twice}, {models} model"


def _leftovers(workspace: Workspace) -> str:
    drafts = [path.name for path in workspace.root.rglob("*.unfinished")]
    alive = [p.pid for p in psutil.process_iter(["cmdline"]) if str(workspace.root) in (p.info["cmdline"] or [])]
    return f"drafts {drafts}, processes {alive}"


def run_until_done(workspace: Workspace, counts: Counter[str], seconds: float, chance: random.Random) -> Counter[str]:
    """Start, kill, start again, until a training ends by itself; how often it was killed, by kind."""
    kills: Counter[str] = Counter()
    for _ in range(chance.randint(3, 7)):
        kind = "moment" if chance.random() < 1 / 3 else chance.choice(sorted(counts))
        if kind == "moment":
            process = start(workspace, None)
            time.sleep(chance.uniform(0, seconds))
            if process.poll() is None:
                kill_tree(process)
                kills[kind] += 1
        else:
            process = start(workspace, f"{kind} {chance.randint(1, max(1, counts[kind] // 3))}")
            process.wait()
            kills[kind] += process.returncode == -signal.SIGKILL
        if process.returncode != -signal.SIGKILL:  # no write of that kind was left: it has ended by itself
            break
    else:
        process = start(workspace, None)
        process.wait()
    if process.returncode != 0:
        sys.exit(f"{workspace.root}: ended with {process.returncode}:\n{(workspace.root / 'train.log').read_text()}")
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30, help="killed runs, half of them by two processes")
    parser.add_argument("--kills", type=int, default=100, help="go on past --runs until there are as many")
    parser.add_argument("--seed", type=int, default=1, help="of the kills")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    started, runs, kills, different = time.monotonic(), Counter[int](), {1: Counter[str](), 2: Counter[str]()}, 0
    with tempfile.TemporaryDirectory(prefix="deepmark-kill-") as folder:
        whole, expected, counts, seconds = {}, {}, {}, {}
        for processes in (1, 2):
            whole[processes] = make_workspace(Path(folder) / f"data-{processes}", processes)
            reference = copied(whole[processes], Path(folder) / f"whole-{processes}")
            note, begun = Path(folder) / f"counts-{processes}.json", time.monotonic()
            process = start(reference, f"count {note}")
            if process.wait() != 0:
                sys.exit((reference.root / "train.log").read_text())
            seconds[processes] = time.monotonic() - begun
            expected[processes] = outcome(reference)
            counts[processes] = Counter(json.loads(note.read_text("utf-8")))
            print(f"{processes} process(es), never killed: {expected[processes]}", flush=True)
        while sum(runs.values()) < arguments.runs or sum(sum(k.values()) for k in kills.values()) < arguments.kills:
            processes = 1 + sum(runs.values()) % 2
            workspace = copied(whole[processes], Path(folder) / "killed")
            done = run_until_done(workspace, counts[processes], seconds[processes], chance)
            found = outcome(workspace)
            runs[processes] += 1
            kills[processes] += done
            wrong = {name: value for name, value in found.items() if value != expected[processes][name]}
            different += bool(wrong)
            print(
                f"run {sum(runs.values())}: {processes} process(es), {sum(done.values())} kills, "
                f"{'DIFFERENT: ' + str(wrong) if wrong else 'identical'}",
                flush=True,
            )
            shutil.rmtree(workspace.root)
    print_table(runs, kills, different, time.monotonic() - started)
    sys.exit(1 if different else 0)


def copied(workspace: Workspace, root: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(workspace.root, root, symlinks=True)))


def print_table(runs: Counter[int], kills: dict[int, Counter[str]], different: int, seconds: float) -> None:
    kinds = sorted(kills[1] | kills[2])
    print(f"\n| processes | runs | kills | {' | '.join(kinds)} |\n|{'---:|' * (3 + len(kinds))}")
    for processes in (1, 2):
        counts = [runs[processes], sum(kills[processes].values()), *(kills[processes][kind] for kind in kinds)]
        print(f"| {processes} | {' | '.join(map(str, counts))} |")
    print(f"\n{sum(runs.values()) - different} of {sum(runs.values())} identical; {seconds:.0f} s")


if __name__ == "__main__":
    main()
