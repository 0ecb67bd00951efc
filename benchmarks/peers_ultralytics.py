"""Ultralytics' pose network of nano size as a contender of peers.py, in an environment of its own. Licence: AGPL-3.0.

    defaults   everything as Ultralytics has it
    short      what a user would change for a training of minutes: a step of the optimizer for each batch instead of
               every fourth, a warm-up of 15%, cosine, a higher rate, and no mosaic, scaling or shifting

All weights start at random, and nothing is downloaded: no weights, no font, no reports of use.
"""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false")

import numpy as np
import torch
from peers_common import (
    Detection,
    Task,
    Variant,
    milliseconds,
    onnx_runner,
    own_landmarks,
    per_second,
    run_part,
    write_results,
)
from peers_torchvision import load_operators

NETWORK = "yolo26n-pose.yaml"
SHORT = {
    "optimizer": "AdamW",
    "lr0": 2e-3,
    "warmup_bias_lr": 0.0,
    "cos_lr": True,
    "mosaic": 0.0,
    "scale": 0.0,
    "translate": 0.0,
}
SHORT_WARM_UP = 0.15
LOWEST_SCORE = 1e-3
"""Of a result; Ultralytics' own for measuring AP."""


def network(file: str | Path) -> Any:
    load_operators()
    import matplotlib
    from ultralytics import YOLO, settings
    from ultralytics.utils import USER_CONFIG_DIR

    settings.update({"sync": False})
    if not (font := Path(USER_CONFIG_DIR) / "Arial.ttf").exists():  # otherwise it is downloaded
        shutil.copy(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", font)
    return YOLO(str(file), task="pose")


class Watch:
    """Follows a training: samples, seconds, and before it begins, samples a second of its loader alone."""

    def __init__(self, task: Task, probe: int = 0) -> None:
        self.task, self.probe = task, probe
        self.loaded_per_second = 0.0
        self.samples = self.epochs = 0
        self.began = self.ended = 0.0

    def before(self, trainer: Any) -> None:
        torch.set_num_threads(self.task.threads)  # it takes one fewer than there are cores
        if not self.probe:
            sizes = (len(batch["img"]) for batch in forever(trainer.train_loader))
            self.loaded_per_second = per_second(sizes, self.task.seconds)

    def start(self, trainer: Any) -> None:
        self.began = time.perf_counter()

    def before_batch(self, trainer: Any) -> None:
        self.samples += self.task.batch  # the clock ends a training after a step, and before `after_batch`

    def after_batch(self, trainer: Any) -> None:
        self.ended = time.perf_counter()
        if self.probe and self.samples >= self.probe:
            trainer.stop = True

    def after_epoch(self, trainer: Any) -> None:
        self.epochs, self.ended = self.epochs + 1, time.perf_counter()

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def forever(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def train_once(task: Task, folder: Path, variant: Variant, watch: Watch, changes: dict[str, Any]) -> Path:
    """Train in `folder`/run, and return the file of the last weights."""
    model = network(NETWORK)
    hooks = {
        "on_pretrain_routine_end": watch.before,
        "on_train_start": watch.start,
        "on_train_batch_start": watch.before_batch,
        "on_train_batch_end": watch.after_batch,
        "on_train_epoch_end": watch.after_epoch,
    }
    for event, hook in hooks.items():
        model.add_callback(event, hook)
    shutil.rmtree(folder / "run", ignore_errors=True)
    model.train(
        data=str(task.folder / f"yolo-{variant.landmarks}" / "data.yaml"),
        imgsz=max(task.input_size),
        batch=task.batch,
        device="cpu",
        pretrained=False,
        val=False,  # ours does not measure AP between epochs, either
        plots=False,
        project=str(folder),
        name="run",
        **changes,
    )
    return folder / "run/weights/last.pt"


def train(task: Task, folder: Path, variant: Variant) -> dict[str, Any]:
    """A few steps tell how many epochs fit; then a training with the clock as its end.

    Ultralytics plans a training by its epochs, also where it is to end by the clock: the optimizer is chosen by them.
    """
    images = len(task.files("train"))
    probe = Watch(task, probe=min(images, 20 * task.batch))
    train_once(task, folder, variant, probe, {"epochs": 1})
    epochs = max(1, round(60 * task.minutes * probe.samples / probe.seconds / images))
    changes: dict[str, Any] = {"epochs": epochs, "time": task.minutes / 60}
    if variant.recipe == "short":
        changes |= {**SHORT, "nbs": task.batch, "warmup_epochs": SHORT_WARM_UP * epochs}
    watch = Watch(task)
    last = train_once(task, folder, variant, watch, changes)
    shutil.copy(last, folder / "last.pt")
    return {
        "seconds": watch.seconds,
        "samples": watch.samples,
        "epochs": watch.epochs,
        "epochs_planned": epochs,
        "loaded_per_second": watch.loaded_per_second,
    }


def predict(task: Task, folder: Path, variant: Variant) -> dict[str, Any]:
    model = network(folder / "last.pt")
    options = {"imgsz": max(task.input_size), "conf": LOWEST_SCORE, "max_det": 100, "batch": 8, "device": "cpu"}
    files = [str(file) for file in task.files("validation")]
    model.predict(files[:1], verbose=False, **options)
    torch.set_num_threads(task.threads)

    def found() -> Iterator[tuple[int, list[Detection]]]:
        for result in model.predict(files, stream=True, verbose=False, **options):
            boxes, points = result.boxes.cpu().numpy(), result.keypoints.data.cpu().numpy()
            yield (
                int(Path(result.path).stem),
                [
                    (int(category), score, box, own_landmarks(task, int(category), rows[:, :2]))
                    for category, score, box, rows in zip(boxes.cls, boxes.conf, boxes.xyxy, points, strict=True)
                ],
            )

    began = time.perf_counter()
    detections = list(found())
    seconds = time.perf_counter() - began
    return {**write_results(folder / "results.json", task, detections), "seconds": seconds}


def speed(task: Task, folder: Path, variant: Variant) -> dict[str, Any]:
    """With its heads that need no NMS: the whole way from an image to results, in torch and in the exported file."""
    file = network(folder / "last.pt").export(format="onnx", imgsz=list(task.input_size), device="cpu", nms=False)
    model = network(folder / "last.pt").model
    model.end2end = True
    fused = model.fuse(verbose=False).eval()
    torch.set_num_threads(task.threads)

    @torch.inference_mode()
    def in_torch(canvas: np.ndarray) -> object:
        image = torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 255
        return fused(image.contiguous())

    canvases = np.load(task.folder / "canvases.npy")
    return {
        "parameters": sum(value.numel() for value in fused.parameters()),
        "torch_ms": milliseconds(in_torch, canvases, task.seconds),
        "onnx_ms": milliseconds(onnx_runner(Path(file), task.threads), canvases, task.seconds),
    }


if __name__ == "__main__":
    run_part({"train": train, "predict": predict, "speed": speed})
