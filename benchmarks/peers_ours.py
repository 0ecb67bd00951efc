"""Our contender of peers.py: the `mobile` network by the recipe of the profile `demo`, in as many epochs as fit."""

import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers_common import Task, Variant, milliseconds, per_second, run_part
from ruamel.yaml import YAML

from deepmark import stages
from deepmark.data.augment import make_sample
from deepmark.data.coco.writer import write_coco_results
from deepmark.data.loader import load_batches
from deepmark.data.predictions import read_predictions
from deepmark.data.sampling import sample_order, shared_batches
from deepmark.digests import read_json_with_digest
from deepmark.export.onnx_file import export_onnx
from deepmark.infer.predict import Predictor, PreparedImage
from deepmark.model.detector import count_parameters, load_network
from deepmark.runtime.onnx_detector import OnnxDetector, PlacedImage
from deepmark.train.targets import collate
from deepmark.types import Sample
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace

STRATEGY = "nms"

MARGIN = 0.94
"""Of the time that is planned for: a long training took 5% more an epoch than the single one before it."""


def workspace_with(task: Task, folder: Path, epochs: int) -> Workspace:
    """A workspace on the task's records and shards, whose recipe differs from the profile's by the epochs alone."""
    shutil.rmtree(folder, ignore_errors=True)
    data = Workspace(task.folder / "data")
    skipped = shutil.ignore_patterns("raw", "shards", "params.yaml")
    shutil.copytree(data.root, folder, symlinks=True, ignore=skipped)
    for name in ("raw", "shards"):
        (folder / "data" / name).symlink_to((data.root / "data" / name).resolve())
    yaml = YAML()
    values = yaml.load((data.root / "params.yaml").read_text("utf-8"))
    values["train"].update(epochs=epochs, batch_size=task.batch)
    yaml.dump(values, folder / "params.yaml")
    return Workspace(folder)


def train_once(workspace: Workspace) -> dict[str, Any]:
    """Train as a user does; the profile has a process a core, which share the threads."""
    environment = {name: value for name, value in child_environment().items() if name != "OMP_NUM_THREADS"}
    subprocess.run([tool("deepmark"), "train"], cwd=workspace.root, env=environment, check=True)
    return read_json_with_digest(workspace.train_metrics_file, "deepmark train")


def train(task: Task, folder: Path, variant: Variant) -> dict[str, Any]:
    """One epoch tells how many fit; then a training of as many."""
    tried = train_once(workspace_with(task, folder / "trial", 1))
    epochs = max(1, int(MARGIN * 60 * task.minutes / tried["seconds"]))
    done = train_once(workspace_with(task, folder / "workspace", epochs))
    samples = epochs * len(task.files("train"))
    return {"seconds": done["seconds"], "samples": samples, "epochs": epochs}


def predict(task: Task, folder: Path, variant: Variant) -> dict[str, Any]:
    workspace = Workspace(folder / "workspace")
    torch.set_num_threads(task.threads)
    began = time.perf_counter()
    stages.predict(workspace, strategy=STRATEGY)
    seconds = time.perf_counter() - began
    found, _ = read_predictions(workspace.predictions_file(STRATEGY))
    facts = write_coco_results(folder / "results.json", found)
    return {"images": facts["pictures"], "results": facts["results"], "seconds": seconds}


def speed(task: Task, folder: Path, variant: Variant) -> dict[str, Any]:
    workspace = Workspace(folder / "workspace")
    torch.set_num_threads(task.threads)
    canvases = np.load(task.folder / "canvases.npy")
    predictor = Predictor(load_network(workspace.model_file), STRATEGY, workspace.params.predict)
    file = folder / "model.onnx"
    export_onnx(predictor.detector, file, workspace.params.predict)
    exported = OnnxDetector(file, strategy=STRATEGY, min_score=0.0)

    def in_torch(canvas: np.ndarray) -> object:
        one = PreparedImage(size=canvas.shape[:2], affines=[np.eye(2, 3)], canvases=[canvas], read_ms=0)
        return predictor.detect([one])

    return {
        "parameters": count_parameters(predictor.detector),
        "torch_ms": milliseconds(in_torch, canvases, task.seconds),
        "onnx_ms": milliseconds(lambda one: exported.detect([PlacedImage.of_canvas(one)]), canvases, task.seconds),
        "loaded_per_second": per_second(loaded(workspace, task), task.seconds),
    }


def loaded(workspace: Workspace, task: Task) -> Iterator[int]:
    """The sizes of the batches that the loader makes, epoch after epoch."""
    reader, params = open_shards(workspace, "train"), workspace.params
    for epoch in itertools.count():

        def make(index: int, epoch: int = epoch) -> Sample:
            record, jpeg = reader[index]
            rng = np.random.default_rng([params.train.seed, epoch, index])
            return make_sample(
                record, jpeg, canvas=task.input_size, augment=params.augment, rng=rng, vocabulary=DEEPFASHION2
            )

        order = sample_order(len(reader), seed=params.train.seed, epoch=epoch)
        for samples in load_batches(shared_batches(order, task.batch), make, threads=task.threads):
            collate(samples)
            yield len(samples)


if __name__ == "__main__":
    run_part({"train": train, "predict": predict, "speed": speed})
