"""A campaign of lost machines: stages on a cluster of two, one of which is killed or cut off at a random moment.

    python benchmarks/cluster_faults.py --folder runs/faults [--stages ingest shard predict train] [--seed 1]

The machines are network namespaces of this one (tests/helpers/cluster.py): a head, and two with a core each, or two
cores for training. Each stage is first run by two local processes and by Ray undisturbed. Then, for every fault, it
runs again from nothing as the command that people call, and at a random moment of its time a random machine is killed
(SIGKILL of all processes) or its cable is cut and stays so. Nobody touches anything. Every file that the stage makes
is compared by sha256 with that of the local run. Results are kept in FOLDER/faults.jsonl, a line a run, and a
campaign that was ended goes on. Exits with 1 where a file differs or a command fails.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from deepmark.compute.local import Local
from deepmark.synthetic import draw_dataset
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from cluster import Cluster, cluster
from workspaces import set_params

CONVERTED, TRAINED = (3000, 1536), (640, 64)
"""Images of the training and of the validation split, for training and for all other stages."""

DIFFERENT = 8
"""Different images among them: the rest are links."""

KILLS, CUTS = 8, 3
"""Of each stage."""

COMMANDS = {
    "ingest": ("ingest", "--split", "train"),
    "shard": ("shard", "--split", "train"),
    "predict": ("predict", "--strategy", "none"),
    "train": ("train", "--fresh"),
}
MADE = {
    "ingest": ("data/records/train.*",),
    "shard": ("data/shards/train/*",),
    "predict": ("data/predictions/none.parquet",),
    "train": ("data/checkpoint/model.safetensors", "plots/losses.csv"),
}
PREPARED = (
    ("ingest", "--split", "validation"),
    ("shard", "--split", "validation"),
    ("ingest", "--split", "train"),
    ("shard", "--split", "train"),
    ("train",),
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    stage: str
    number: int
    kind: str
    victim: str
    share: float
    """Of the time that the stage takes undisturbed, when it happens."""


def plan(stage: str, seed: int) -> list[Fault]:
    chance = random.Random(f"{seed}/{stage}")
    kinds = ["kill"] * KILLS + ["cut"] * CUTS
    chance.shuffle(kinds)
    return [
        Fault(stage=stage, number=number, kind=kind, victim=chance.choice("ab"), share=chance.uniform(0.05, 0.9))
        for number, kind in enumerate(kinds)
    ]


def prepare(folder: Path, train: int, validation: int) -> Workspace:
    """A workspace with raw data of so many images, made once."""
    if (folder / "ready").exists():
        return Workspace(folder / "workspace")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    workspace = init_workspace(folder / "workspace", "demo")
    draw_dataset(folder / "drawn", train=DIFFERENT, validation=DIFFERENT, seed=3, engine=Local(2))
    for split, count in (("train", train), ("validation", validation)):
        for kind, suffix in (("image", "jpg"), ("annos", "json")):
            (workspace.raw / split / kind).mkdir(parents=True)
            for number in range(1, count + 1):
                source = folder / f"drawn/{split}/{kind}/{number % DIFFERENT + 1:06d}.{suffix}"
                os.link(source, workspace.raw / split / kind / f"{number:06d}.{suffix}")
    workspace = set_params(
        workspace,
        shard={"target_mib": 4},
        model={"input_size": [64, 64]},
        train={"epochs": 2, "batch_size": 16, "checkpoint_steps": 10, "evaluate_every": 0},
        compute={"train_processes": 2},
    )
    (folder / "ready").touch()
    return workspace


def places(three: Cluster, folder: Path, stages: list[str]) -> dict[str, Workspace]:
    """The workspace of each stage, with all that it reads; training has its own, for predictions name their run."""
    found = {}
    for stage in stages:
        name, counts = ("training", TRAINED) if stage == "train" else ("conversion", CONVERTED)
        found[stage] = prepare(folder / name, *counts)
        if not (folder / name / "whole").exists():
            for words in PREPARED:
                good, told = ended(run(three, found[stage], *words))
                assert good, told
            (folder / name / "whole").touch()
    return found


def run(three: Cluster, workspace: Workspace, *words: str) -> Any:
    return three.driver("deepmark", *words, "--workspace", workspace.root, cwd=workspace.root)


def ended(process: Any) -> tuple[bool, str]:
    out, told = process.communicate(timeout=900)
    return process.returncode == 0, told or out


def made(workspace: Workspace, stage: str) -> list[Path]:
    return sorted(file for pattern in MADE[stage] for file in workspace.root.glob(pattern))


def clear(workspace: Workspace, stage: str) -> None:
    for file in made(workspace, stage):
        file.unlink()
    shutil.rmtree(workspace.parts, ignore_errors=True)


def digest(workspace: Workspace, stage: str) -> str:
    """The sha256 over names and bytes of all that the stage made."""
    total = hashlib.sha256()
    for file in made(workspace, stage):
        total.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def undisturbed(three: Cluster, workspace: Workspace, stage: str, engine: str) -> dict[str, Any]:
    set_params(workspace, compute={"engine": engine})
    clear(workspace, stage)
    started = time.monotonic()
    good, told = ended(run(three, workspace, *COMMANDS[stage]))
    seconds = time.monotonic() - started
    return {"stage": stage, "run": engine, "seconds": seconds, "digest": digest(workspace, stage), "good": good} | (
        {} if good else {"told": told[-2000:]}
    )


def disturbed(three: Cluster, workspace: Workspace, fault: Fault, usual: float) -> dict[str, Any]:
    set_params(workspace, compute={"engine": "ray"})
    clear(workspace, fault.stage)
    victim = three.a if fault.victim == "a" else three.b
    started = time.monotonic()
    process = run(three, workspace, *COMMANDS[fault.stage])
    time.sleep(fault.share * usual)
    in_time = process.poll() is None
    (victim.kill if fault.kind == "kill" else victim.cut_cable)()
    good, told = ended(process)
    seconds = time.monotonic() - started
    three.restart(victim)
    return {
        "stage": fault.stage,
        "run": fault.number,
        "kind": fault.kind,
        "victim": fault.victim,
        "share": round(fault.share, 3),
        "in_time": in_time,
        "seconds": seconds,
        "digest": digest(workspace, fault.stage),
        "good": good,
        "told": told[-2000:],
    }


def campaign(folder: Path, stages: list[str], seed: int) -> Iterator[dict[str, Any]]:
    """Each run that had not been made yet, as it ends."""
    rows = read(folder / "faults.jsonl")
    with cluster(cores=2 if "train" in stages else 1) as three:  # a training goes on with as many processes on one
        own = places(three, folder, stages)
        for stage in stages:
            for engine in ("local", "ray"):
                if not any(row["stage"] == stage and row["run"] == engine for row in rows):
                    rows.append(undisturbed(three, own[stage], stage, engine))
                    yield rows[-1]
        for faults in zip(*(plan(stage, seed) for stage in stages), strict=True):
            for fault in faults:
                if any(row["stage"] == fault.stage and row["run"] == fault.number for row in rows):
                    continue
                usual = next(row["seconds"] for row in rows if (row["stage"], row["run"]) == (fault.stage, "ray"))
                rows.append(disturbed(three, own[fault.stage], fault, usual))
                yield rows[-1]


def read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []


def table(rows: list[dict[str, Any]]) -> str:
    """By stage: the undisturbed seconds, faults, equal outputs, and the additional seconds of kills and cuts."""
    lines = ["| stage | local, s | Ray, s | kills | cuts | equal | more by a kill, s | more by a cut, s |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    for stage in COMMANDS:
        mine = {row["run"]: row for row in rows if row["stage"] == stage}
        if not {"local", "ray"} <= mine.keys():
            continue
        faults = [row for row in mine.values() if "kind" in row and row["in_time"]]
        equal = sum(row["good"] and row["digest"] == mine["local"]["digest"] for row in faults)
        more = {
            kind: [row["seconds"] - mine["ray"]["seconds"] for row in faults if row["kind"] == kind] for kind in _KINDS
        }
        told = [f"{median(times):.0f}, at most {max(times):.0f}" if times else "–" for times in more.values()]
        counts = [str(len(times)) for times in more.values()]
        seconds = [f"{mine[engine]['seconds']:.1f}" for engine in ("local", "ray")]
        lines.append("| " + " | ".join([stage, *seconds, *counts, f"{equal} of {len(faults)}", *told]) + " |")
    return "\n".join(lines)


_KINDS = ("kill", "cut")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/faults"))
    parser.add_argument("--stages", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for row in campaign(folder, options.stages, options.seed):
        with (folder / "faults.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        print(json.dumps({name: value for name, value in row.items() if name != "told"}), file=sys.stderr, flush=True)
    rows = read(folder / "faults.jsonl")
    print(table(rows))
    wanted = {row["stage"]: row["digest"] for row in rows if row["run"] == "local"}
    if not all(row["good"] and row["digest"] == wanted[row["stage"]] for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
