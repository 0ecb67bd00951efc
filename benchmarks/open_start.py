"""What the open model is worth as a start: AP after few images with `train.init: open`, and from nothing.

    python benchmarks/open_start.py runs/open-start [--model FILE] [--train 150] [--validation 400] [--epochs 20]
                                                    [--seeds 3] [--size 128 96] [--jobs 1]

The images stand for somebody's own data: rendered in styles that the open model was not taught (those of validation
images, `synthetic.rendered.styles`), for training and validation alike, of all 13 categories. The network is the light
one by the profile `modern`, in one process of one thread; both rows of a seed see the same images in the same order for
the same number of steps, and only the start differs. `--model` names another model file to start from. Measured by the
stages `predict --strategy nms` and `evaluate`. What is done is not done again.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from light_trainings import (
    FIRST_SEED,
    MEASURE,
    Changes,
    aps,
    light_params,
    resampled,
    shard,
    slug,
    workspace_after,
)
from messages import one_message
from recipe_table import Gains

from deepmark.files import file_sha256
from deepmark.model.detector import load_network
from deepmark.models.packaged import packaged_weights
from deepmark.schema import SPLITS, Split
from deepmark.synthetic.rendered.dataset import render_dataset
from deepmark.synthetic.rendered.styles import STYLES
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

NOTHING, OPEN = "from nothing", "from the open model"
METRICS = ("box_ap", "landmark_ap")
_IMAGES = 3
"""Seed of the images; those of the open model have others."""


def images(folder: Path, train: int, validation: int) -> Workspace:
    """Shards of somebody's own data."""
    data = init_workspace(folder, "demo")
    held_out = dict.fromkeys(SPLITS, STYLES[Split.VALIDATION])
    if not all(data.shards(split).is_dir() for split in SPLITS):
        render_dataset(data.raw, train=train, validation=validation, seed=_IMAGES, styles=held_out)
        shard(data, *SPLITS)
    return data


def figures(folder: Path, data: Workspace, start: Path | None, seed: int, options: argparse.Namespace) -> dict:
    """The APs of one row with one seed, and their resamples."""
    changes: Changes = {
        "evaluate": {"resamples": 1000},
        "train": {"init": None if start is None else str(start), "validate_every": 0},
    }
    values: Any = light_params(changes, seed=seed, epochs=options.epochs, size=options.size)
    kind = "nothing" if start is None else f"open {file_sha256(start)[:8]}"  # another model is another row
    name = slug(kind, options.epochs, seed)
    measured = workspace_after(folder / name, data, values, "train", *MEASURE)
    table = aps(measured)
    return {"all": {metric: float(table[metric, "all"]) for metric in METRICS} | {"resamples": resampled(measured)}}


def start_table(found: dict[str, list[dict]]) -> str:
    """Means over the seeds and the gain in pairs of one seed, as Markdown."""
    gains = Gains(found, dict.fromkeys(found, NOTHING), [("all", metric) for metric in METRICS])
    lines = ["| start | box AP | gain | landmark AP | gain |", "|---|---:|---:|---:|---:|"]
    for name, seeds in found.items():
        cells = [name]
        for metric in METRICS:
            cells += [f"{np.mean([one['all'][metric] for one in seeds]):.3f}", gains.text(name, "all", metric)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, metavar="FILE", help="model.safetensors to start from; default: open")
    parser.add_argument("--train", type=int, default=150, help="images to learn")
    parser.add_argument("--validation", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    options = parser.parse_args()
    start = packaged_weights() if options.model is None else options.model.resolve()
    load_network(start)
    folder = options.folder.resolve() / f"{options.train}-{options.validation}"
    data = images(folder / "data", options.train, options.validation)
    rows = [(name, seed) for name in (NOTHING, OPEN) for seed in range(FIRST_SEED, FIRST_SEED + options.seeds)]
    found: dict[str, list[dict]] = {NOTHING: [], OPEN: []}
    with ThreadPoolExecutor(options.jobs) as pool:
        made = pool.map(lambda row: figures(folder, data, start if row[0] == OPEN else None, row[1], options), rows)
        for (name, _), one in zip(rows, made, strict=True):
            found[name].append(one)
    print(start_table(found))


if __name__ == "__main__":
    os.nice(5)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that render, one a core
    with one_message("open_start"):
        main()
