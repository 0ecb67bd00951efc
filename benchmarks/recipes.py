"""What each part of a recipe is worth: the paper's, each later habit on its own, and all of them together.

    python benchmarks/recipes.py runs/recipes [--train 3000] [--validation 300] [--epochs 6] [--jobs 1] [--only NAME]

Every row trains the light network on the same drawings, at 128x96 pixels, for the same number of steps, from the same
start values, by one process of one thread, and is measured by the stages `predict --strategy nms` and `evaluate`.
The paper's schedule is shrunk to the number of epochs. Its learning rate is made for 300 times as many steps: the
second row has one that suits this budget, and every later row changes one thing of it; then come all of them. The last
rows are there for the noise: other seeds. Rows that are done are not done again.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from deepmark import stages
from deepmark.schema import SPLITS
from deepmark.synthetic import draw_dataset
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.init import init_workspace, profile_file
from deepmark.workspace.layout import Workspace

RATE = 4.0e-3
SWITCHES: dict[str, dict[str, dict[str, Any]]] = {
    "AdamW, decay 0.01": {"train": {"optimizer": "adamw", "weight_decay": 0.01}},
    "warm-up and cosine": {"train": {"schedule": "cosine", "warmup": 0.15}},
    "gradients clipped at 10": {"train": {"clip_norm": 10.0}},
    "average of weights": {"train": {"ema": 0.998}},
    "bf16": {"train": {"precision": "bf16"}},
    "heat by people's precision": {"train": {"landmark_radius": "sigma"}},
    "loss on own channels": {"train": {"landmark_channels": "own"}},
    "grouped landmark maps": {"model": {"landmark_maps": "grouped"}},
}


def merged(*changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for change in changes:
        for section, values in change.items():
            result[section] = result.get(section, {}) | values
    return result


def rows() -> dict[str, dict[str, dict[str, Any]]]:
    base: dict[str, dict[str, Any]] = {"train": {"learning_rate": RATE}}
    everything = merged(base, *SWITCHES.values())
    return {
        "the paper's": {},
        f"the paper's at {RATE}": base,
        **{f"+ {name}": merged(base, change) for name, change in SWITCHES.items()},
        "all of these": everything,
        "all but heat by people's precision": merged(everything, {"train": {"landmark_radius": "box"}}),
        **{f"the paper's at {RATE}, seed {seed}": merged(base, {"train": {"seed": seed}}) for seed in (318, 319)},
        **{f"all of these, seed {seed}": merged(everything, {"train": {"seed": seed}}) for seed in (318, 319)},
        "all but the average of weights": merged(everything, {"train": {"ema": None}}),
        "all but loss on own channels": merged(everything, {"train": {"landmark_channels": "all"}}),
        "all but grouped landmark maps": merged(everything, {"model": {"landmark_maps": "separate"}}),
    }


def paper(epochs: int) -> dict[str, dict[str, Any]]:
    """The paper's training, and what the size of the task here changes of it."""
    train = YAML(typ="safe").load(profile_file("paper").read_text("utf-8"))["train"]
    whole, falls = train["epochs"], list(train["milestones"])
    rates: dict[int, float] = {}
    for fall, share in zip(falls, (0.1, 1 / 30), strict=True):
        rates.setdefault(round(fall * epochs / whole), share)
    small = {"init": None, "epochs": epochs, "batch_size": 16, "milestones": rates, "evaluate_every": 0}
    return {"train": train | small | {"precision": "fp32", "launch": train["launch"] | {"nproc_per_node": 1}}}


def train_row(root: Path, data: Workspace, change: dict[str, dict[str, Any]], epochs: int) -> dict[str, Any]:
    workspace = Workspace(root)
    if not workspace.metrics_file("nms").is_file():
        if not root.is_dir():
            shutil.copytree(
                data.root, root, symlinks=True, ignore=shutil.ignore_patterns("raw", "shards", "params.yaml")
            )
            (root / "data/shards").symlink_to(data.root / "data/shards")
            (root / "data/raw").symlink_to(data.raw)
        yaml = YAML()
        values = yaml.load((data.root / "params.yaml").read_text("utf-8"))
        for section, changes in merged(paper(epochs), change).items():
            values[section].update(changes)
        rate = values["train"]["learning_rate"]
        values["train"]["milestones"] = {at: rate * share for at, share in values["train"]["milestones"].items()}
        yaml.dump(values, root / "params.yaml")
        with (root / "log.txt").open("ab") as log:
            for command in ("train", "predict --strategy nms", "evaluate --strategy nms"):
                env = child_environment() | {"OMP_NUM_THREADS": "1", "DEEPMARK_LOADER_THREADS": "1"}
                subprocess.run(
                    [tool("deepmark"), *command.split()], cwd=root, env=env, stdout=log, stderr=log, check=True
                )
    training = json.loads(workspace.train_metrics_file.read_text("utf-8"))
    return json.loads(workspace.metrics_file("nms").read_text("utf-8")) | {"training": training}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=3000, help="drawings to learn")
    parser.add_argument("--validation", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=1, help="rows at once")
    parser.add_argument("--only", action="append", help="rows whose name holds this; may be given again")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    data = init_workspace(folder / "data", "demo")
    draw_dataset(data.raw, train=arguments.train, validation=arguments.validation, seed=1)
    for split in SPLITS:
        if not data.shards(split).is_dir():
            stages.ingest(data, split=split)
            stages.shard(data, split=split)
    chosen = {
        name: change
        for name, change in rows().items()
        if not arguments.only or any(word in name for word in arguments.only)
    }
    print("| recipe | box AP | box AP50 | landmark AP | landmark AP50 | ms a picture of training |")
    print("|---|---:|---:|---:|---:|---:|")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        waiting = {
            name: pool.submit(train_row, folder / f"row-{number}", data, change, arguments.epochs)
            for number, (name, change) in enumerate(rows().items())
            if name in chosen
        }
        for name, row in waiting.items():
            found = row.result()
            ap = [found[kind][figure] for kind in ("box", "landmarks") for figure in ("AP", "AP50")]
            ms = 1000 / found["training"]["samples_per_second"]
            print(f"| {name} | {' | '.join(f'{value:.3f}' for value in ap)} | {ms:.1f} |", flush=True)


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
