"""The stages that an engine runs, as the commands that people call: by Ray beside local processes of the same cores.

With an earlier version beside both, where its source tree is given. Everything starts anew for each command, as under
DVC; so seconds hold the start of Python, of workers, and of Ray's.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from deepmark.compute.local import Local
from deepmark.synthetic import draw_dataset

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from ray_head import ray_head

HERE = Path(__file__).resolve().parents[1]
IMAGES = {"train": 4000, "validation": 1024}
DIFFERENT = 8
"""Different images of a split: the rest are links."""

STAGES = {
    "ingest": (["ingest", "--split", "train"], "data/records/train.*"),
    "shard": (["shard", "--split", "train"], "data/shards/train/*"),
    "train": (["train", "--fresh"], "data/checkpoint/model.safetensors"),
    "predict": (["predict", "--strategy", "multiscale"], "data/predictions/*"),
    "audit": (["audit"], "data/audit/*"),
}
"""The command of a stage, and what it makes."""

PREPARED = (["ingest", "--split", "validation"], ["shard", "--split", "validation"])
CALL = "import sys; from deepmark.cli.app import main; sys.argv[0] = 'deepmark'; main()"


@dataclass(frozen=True, kw_only=True)
class Way:
    """A version of DeepMark, its workspace, and where its stages run."""

    name: str
    tree: Path
    workspace: Path
    engine: str = "local"
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *words: str) -> float:
        """The seconds that a command takes."""
        environment = os.environ | {"PYTHONPATH": str(self.tree)} | self.variables
        command = [sys.executable, "-c", CALL, *words]
        started = time.perf_counter()
        done = subprocess.run(command, cwd=self.workspace, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{self.name}: {' '.join(words)}: {done.stderr}")
        return time.perf_counter() - started

    def set_params(self, cores: int) -> None:
        yaml, file = YAML(), self.workspace / "params.yaml"
        values: Any = yaml.load(file.read_text("utf-8"))
        values["model"]["input_size"], values["shard"]["target_mib"] = [64, 64], 4
        values["train"] |= {"epochs": 1, "batch_size": 32, "evaluate_every": 0, "optimizer": "adamw"}
        if "compute" in values:
            values["compute"] |= {"engine": self.engine, "workers": cores, "train_processes": cores}
        else:
            values["train"]["launch"]["nproc_per_node"] = cores
        yaml.dump(values, file)

    def made(self, stage: str) -> str:
        """The sha256 over names and bytes of what a stage made."""
        total = hashlib.sha256()
        for file in sorted(self.workspace.glob(STAGES[stage][1])):
            total.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        return total.hexdigest()


def prepare(folder: Path) -> None:
    draw_dataset(folder / "drawn", train=DIFFERENT, validation=DIFFERENT, seed=3, engine=Local(2))
    for split, count in IMAGES.items():
        for kind, suffix in (("image", "jpg"), ("annos", "json")):
            (folder / "raw" / split / kind).mkdir(parents=True)
            for number in range(1, count + 1):
                source = folder / f"drawn/{split}/{kind}/{number % DIFFERENT + 1:06d}.{suffix}"
                os.link(source, folder / f"raw/{split}/{kind}/{number:06d}.{suffix}")


def measure_stages(folder: Path, before: Path | None, cores: int) -> None:
    """Print the seconds of every stage by each way, and Ray's and today's as ratios."""
    prepare(folder)
    with ExitStack() as stack:
        head = stack.enter_context(ray_head(cores))
        ways = [Way(name="before", tree=before.resolve(), workspace=folder / "before")] if before else []
        ways += [
            Way(name="local", tree=HERE, workspace=folder / "local"),
            Way(name="ray", tree=HERE, workspace=folder / "ray", engine="ray", variables=head.variables),
        ]
        for way in ways:
            way.workspace.mkdir()
            way.run("init", ".", "--profile", "demo")
            (way.workspace / "data").mkdir(exist_ok=True)
            (way.workspace / "data/raw").symlink_to(folder / "raw")
            way.set_params(cores)
            for words in PREPARED:
                way.run(*words)
        print(f"{'':8}" + "".join(f"{way.name:>9}" for way in ways) + "  ray/local" + "  local/before" * bool(before))
        for stage, (words, _) in STAGES.items():
            seconds = {way.name: way.run(*words) for way in ways}
            line = f"{stage:8}" + "".join(f"{taken:8.1f}s" for taken in seconds.values())
            line += f"{seconds['ray'] / seconds['local']:11.2f}"
            if before:
                line += f"{seconds['local'] / seconds['before']:14.2f}"
            print(line, flush=True)
            digests = {way.made(stage) for way in ways if way.tree == HERE}
            assert len(digests) == 1 or stage == "audit", f"{stage}: the engines made other bytes"
            if stage == "train":  # so that predictions name the same run of MLflow
                for name in ("training.json", "model.safetensors"):
                    shutil.copyfile(*(folder / way / "data/checkpoint" / name for way in ("local", "ray")))
