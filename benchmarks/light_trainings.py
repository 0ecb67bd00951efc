"""Trainings of the light network for comparisons: a small budget, workspaces on shared data, nothing done twice.

Used by recipes.py, open_model.py, open_start.py, adapt.py, label_loop.py and label_next.py.
"""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import simplejpeg
from ruamel.yaml import YAML

from deepmark import stages
from deepmark.data.degrade import degrade
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, new_folder
from deepmark.infer.adapt import adapt_file
from deepmark.infer.find_images import find_images
from deepmark.params import AugmentParams, load_params
from deepmark.schema import SPLITS
from deepmark.synthetic import draw_dataset
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.init import init_workspace, profile_file
from deepmark.workspace.layout import Workspace

Changes = dict[str, dict[str, Any]]

FIRST_SEED = 317
MEASURE = "predict --strategy nms", "evaluate --strategy nms"
WORSE = {"white_balance": 0.3, "blur": 4.0, "noise": 15.0, "jpeg": 85}
"""How validation images are made worse: `augment`'s switches, blur in pixels of the image."""


def put(values: Any, changes: Any) -> None:
    for name, change in changes.items():
        if isinstance(change, dict):
            put(values[name], change)
        else:
            values[name] = change


def light_params(*several: Changes, seed: int, epochs: int, size: Iterable[int]) -> Any:
    """The profile `modern` for the light network and minutes of training, with these changes, the last one decisive."""
    values = YAML().load(profile_file("modern").read_text("utf-8"))
    budget: Changes = {
        "model": {"backbone": "mobile", "input_size": list(size)},
        "train": {
            "seed": seed,
            "init": None,
            "epochs": epochs,
            "batch_size": 16,
            "precision": "fp32",
            "learning_rate": 1.0e-2,
            "warmup": 0.15,
            "ema": 0.998,
            "evaluate_every": 0,
        },
        "compute": {"train_processes": 1},
    }
    for changes in (budget, *several):
        put(values, changes)
    return values


def shard(data: Workspace, *splits: str) -> None:
    """Make the shards of these splits that are missing."""
    for split in splits:
        if not data.shards(split).is_dir():
            stages.ingest(data, split=split)
            stages.shard(data, split=split)


def drawings(folder: Path, train: int, validation: int, **options: Any) -> Workspace:
    """So many drawings as shards, made once; `options` are those of `draw_dataset`."""
    data = init_workspace(folder, "demo")
    if not all(data.shards(split).is_dir() for split in SPLITS):
        draw_dataset(data.raw, train=train, validation=validation, **options)
        shard(data, *SPLITS)
    return data


def make_worse(images: Path, goal: Path, params: AugmentParams) -> None:
    """Write every image of a folder into another one, as WORSE says, each by its own number."""
    goal.mkdir()
    augment = params.model_copy(update=WORSE)
    for number, file in enumerate(sorted(images.iterdir())):
        image = degrade(simplejpeg.decode_jpeg(file.read_bytes()), augment, np.random.default_rng(number))
        (goal / file.name).write_bytes(simplejpeg.encode_jpeg(image, quality=95))


def run(root: Path, *commands: str) -> None:
    """Run these commands in one thread; what they print goes to log.txt, what they track stays in the workspace.

    Raises DeepmarkError, which names log.txt, where one fails.
    """
    env = child_environment() | {"OMP_NUM_THREADS": "1", "DEEPMARK_LOADER_THREADS": "1"}
    env.pop("MLFLOW_TRACKING_URI", None)
    with (root / "log.txt").open("ab") as log:
        for command in commands:
            words = [tool("deepmark"), *command.split()]
            if subprocess.run(words, cwd=root, env=env, stdout=log, stderr=log, check=False).returncode:
                raise DeepmarkError(f"`deepmark {command}` failed in {root}; the end of {log.name} says why.")


def workspace_after(root: Path, data: Workspace, values: Any, *commands: str, model: Path | None = None) -> Workspace:
    """The workspace `root` on this data after these commands; each is done again only where params.yaml was another."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    links = {root / f"data/{part}": data.root / "data" / part for part in ("raw", "records", "shards")}
    links |= {} if model is None else {root / "data/checkpoint": model.parent}
    for link, target in links.items():
        if not link.is_symlink():
            link.symlink_to(target)
    shutil.copyfile(data.root / "dvc.yaml", root / "dvc.yaml")
    params, done = root / "params.yaml", root / "done.txt"
    YAML().dump(values, params)
    load_params(params)
    recipe = file_sha256(params)
    known = done.read_text("utf-8").splitlines() if done.is_file() else []
    if known[:1] != [recipe]:
        known = [recipe]
        done.write_text(f"{recipe}\n", "utf-8")
    for command in commands:
        if command not in known:
            run(root, command)
            with done.open("a", encoding="utf-8") as file:
                file.write(f"{command}\n")
    return Workspace(root)


def adapted_model(goal: Path, trained: Workspace, images: Path, share: float = 1.0) -> Path:
    """The model file in the folder `goal`: the network of `trained`, adapted to a folder of images; made once."""
    model = goal / "model.safetensors"
    if not model.is_file():
        with new_folder(goal) as draft:
            found = find_images([images.resolve()])
            adapt_file(trained.model_file, found, draft / model.name, share=share, predict=trained.params.predict)
            shutil.copyfile(trained.training_file, draft / trained.training_file.name)  # `predict` reads it
    return model


def aps(workspace: Workspace) -> pd.Series:
    """The table of MEASURE: a value for each metric and scope."""
    return pd.read_csv(workspace.table_file("nms")).set_index(["metric", "scope"])["value"]


def resampled(workspace: Workspace) -> dict[str, list[float]]:
    """The resamples of MEASURE behind the intervals of recipe_table.py."""
    table = pd.read_csv(workspace.resamples_file("nms"))
    return {metric: table[metric].tolist() for metric in ("box_ap", "landmark_ap")}


def slug(*words: object) -> str:
    """A name of a folder."""
    return "".join(letter if letter.isalnum() else "-" for letter in " ".join(map(str, words)))
