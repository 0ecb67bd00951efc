"""What `benchmarks/gpu.sh` measures, a function for each part of its page; a row is one call in a process of its own.

A function gives the figures of the row by their names on the page; the entry "fault" tells what is not as it should be.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from edge import FILE_OF, drawn_canvases, ms_an_image, new_network, runner
from filelock import FileLock
from loader import draw_shards
from torch import Tensor, nn
from train_speed import load, measure_what_fits, new_stepper

from deepmark.data.loader import default_threads
from deepmark.data.shards.reader import ShardReader
from deepmark.export.equality import Equality
from deepmark.export.onnx_file import export_onnx
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor, PreparedImage
from deepmark.model.detector import load_network, save_detector
from deepmark.params import Params, load_params
from deepmark.runtime.canvas import letterboxed
from deepmark.train.targets import Batch
from deepmark.workspace.init import profile_file

Figures = dict[str, Any]

BACKBONES = ("mobile", "dla34", "hourglass104")

MAPS, LOSS, GRADIENT = 1e-3, 1e-3, 1e-3
"""How far two devices may differ in float32: in maps, as a share of a map's largest value; in the loss, as a share of
it; in the gradient, as the norm of the difference over the norm. Two ways to compute on one CPU differ by less than a
fiftieth of these (`benchmarks/gpu.sh --toy`)."""

SKIPPED, SEARCH = 0.05, 20
"""The share of steps that fp16 may leave out, after so many steps in which it looks for its loss scale."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured."""

    size: int
    """Side of the input, pixels."""

    batch: int
    steps: int
    """Of training; before them come `warm_up` more, which are not timed."""

    warm_up: int
    seconds: float
    """Of inference at each batch size, and of loading data."""

    fp16_seconds: float
    images: int
    """Drawn, to train on."""

    canvases: int
    """The larger batch of inference."""

    compiled: tuple[str, ...] = BACKBONES
    """The backbones that are measured with torch.compile, too."""


GPU = Scale(size=512, batch=16, steps=20, warm_up=3, seconds=2, fp16_seconds=60, images=64, canvases=32)
TOY = Scale(
    size=128, batch=2, steps=1, warm_up=1, seconds=0.1, fp16_seconds=2, images=8, canvases=4, compiled=("mobile",)
)
SCALES = {"gpu": GPU, "toy": TOY}


def the_device() -> torch.device:
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def _paper(backbone: str, scale: Scale, **train: Any) -> Params:
    """The paper's recipe with another backbone, at the scale's size."""
    params = load_params(profile_file("paper"))
    model = params.model.model_copy(update={"backbone": backbone, "input_size": (scale.size, scale.size)})
    return params.model_copy(update={"model": model, "train": params.train.model_copy(update=train)})


def _samples(folder: Path, scale: Scale, steps: int, device: torch.device, batch: int | None = None) -> Any:
    reader, augment = ShardReader(folder / "drawings/shards"), load_params(profile_file("paper")).augment
    return load(reader, (scale.size, scale.size), batch or scale.batch, steps, augment, device)


def data(folder: Path, scale: Scale) -> Figures:
    """Training images as shards, and canvases for inference."""
    reader = draw_shards(folder / "drawings", scale.images)
    np.save(folder / "canvases.npy", drawn_canvases((scale.size, scale.size), scale.canvases, letterboxed))
    return {"MB": reader.total_bytes / 1e6}


def network(folder: Path, scale: Scale, *, backbone: str) -> Figures:
    """The files of a network with start values: its checkpoint, and its ONNX file."""
    (folder / backbone).mkdir()
    detector = new_network(backbone, (scale.size, scale.size))
    save_detector(detector, folder / backbone / FILE_OF["eager"])
    file = folder / backbone / FILE_OF["float32"]
    export_onnx(detector, file, PROFILE_PREDICT_PARAMS)
    return {"MB": file.stat().st_size / 1e6}


def correctness(folder: Path, scale: Scale, *, backbone: str) -> Figures:
    """One network in float32 on the CPU and on the GPU: maps, garments, the loss of a step, and a gradient.

    Without a GPU the other way is the CPU without oneDNN and with channels first, which shows how far two right ways of
    computing are apart.
    """
    device = the_device()
    torch.backends.cudnn.allow_tf32 = False
    batches = list(_samples(folder, scale, 1, torch.device("cpu"), batch=2))
    canvases = np.load(folder / "canvases.npy")[:2]
    here = _everything(
        folder / backbone, scale, backbone, torch.device("cpu"), batches[0], canvases, channels_last=True
    )
    with torch.backends.mkldnn.flags(enabled=device.type == "cuda"):
        there = _everything(folder / backbone, scale, backbone, device, batches[0], canvases, channels_last=False)
    found = Equality()
    for a, b in zip(here["garments"], there["garments"], strict=True):
        found.add(a, b)
    maps = max(_largest(a, b) for a, b in zip(here["maps"], there["maps"], strict=True))
    loss = abs(here["loss"] - there["loss"]) / abs(here["loss"])
    gradient = float(
        _norm(a - b for a, b in zip(here["gradient"], there["gradient"], strict=True)) / _norm(here["gradient"])
    )
    figures = {"maps": maps, "loss": loss, "gradient": gradient}
    figures |= {"garments": found.garments, "boxes, px": found.box, "scores": found.score}
    return figures | disagreement(maps=maps, loss=loss, gradient=gradient, detections=found)


def disagreement(*, maps: float, loss: float, gradient: float, detections: Equality) -> Figures:
    """The fault of a network that is not the same on both devices; nothing where it is."""
    limits = {"maps": (maps, MAPS), "loss": (loss, LOSS), "gradient": (gradient, GRADIENT)}
    beyond = [f"{name} differ by {value:.2g} (at most {most:g})" for name, (value, most) in limits.items()
              if not value <= most]  # fmt: skip
    beyond += [] if detections.holds() else [f"garments differ: {detections.as_dict()}"]
    return {"fault": "; ".join(beyond)} if beyond else {}


def _everything(
    files: Path,
    scale: Scale,
    backbone: str,
    device: torch.device,
    batch: list[Batch],
    canvases: np.ndarray,
    *,
    channels_last: bool,
) -> Figures:
    """What one device gives, on the CPU."""
    detector = load_network(files / FILE_OF["eager"], device=device)
    with torch.inference_mode():
        maps = detector(detector.normalize(torch.from_numpy(canvases).to(device)))
    predictor = Predictor(detector, "none", PROFILE_PREDICT_PARAMS, device)
    prepared = [
        PreparedImage(size=one.shape[:2], affines=[np.eye(2, 3)], canvases=[one], read_ms=0) for one in canvases
    ]
    garments = predictor.detect(prepared)
    params = _paper(backbone, scale, precision="fp32", channels_last=channels_last)
    stepper = new_stepper(params.model, params.train, device)
    moved = [part.to(device) for part in batch]
    # Of start values and two images, normalisation by the batch's own statistics makes rounding errors large: so much
    # that the gradients of two right ways are apart by 5% (dla34), or by all of it (hourglass, whose smallest map is
    # one cell at toy size). By the statistics of the file they agree, so the gradient is taken with these.
    stepper.detector.eval()
    stepper.step(moved, 0.0)
    gradient = [weight.grad.cpu() for weight in stepper.detector.parameters() if weight.grad is not None]
    stepper.detector.train()
    loss = stepper.step(moved, 0.0).losses[0]
    values = [getattr(maps, name).cpu() for name in maps.__dataclass_fields__]
    return {"maps": values, "garments": garments, "loss": loss, "gradient": gradient}


def _largest(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / a.abs().max())


def _norm(tensors: Any) -> Tensor:
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one.double()) for one in tensors]))


def loading(folder: Path, scale: Scale) -> Figures:
    """Samples as training gets them: read, checked, decoded, warped, coloured, collated, and on the device."""
    device, count = the_device(), 0
    steps = _samples(folder, scale, 10**6 // scale.batch, device)
    next(steps)
    start = time.perf_counter()
    while time.perf_counter() - start < scale.seconds:
        next(steps)
        count += scale.batch
    return {"samples a second": count / (time.perf_counter() - start), "threads": default_threads()}


def training(folder: Path, scale: Scale, *, backbone: str, precision: str, compiled: bool) -> Figures:
    """Steps of the paper's recipe; the batch is halved until it fits."""
    params, device = _paper(backbone, scale, precision=precision, compile=compiled), the_device()
    batch, speed = measure_what_fits(
        ShardReader(folder / "drawings/shards"),
        params.model,
        params.train,
        params.augment,
        batch=scale.batch,
        steps=scale.steps,
        warm_up=scale.warm_up,
        device=device,
        alone=FileLock(folder / "lock"),
    )
    return {"batch": batch, "images a second": speed.images, "GB": speed.gigabytes, "waiting": speed.waiting}


def fp16(folder: Path, scale: Scale) -> Figures:
    """Training in fp16: losses, the steps that were left out, and whether the weights are finite at the end."""
    params, device = _paper("dla34", scale, precision="fp16"), the_device()
    stepper = new_stepper(params.model, params.train, device)
    steps = _samples(folder, scale, 10**6 // scale.batch, device)
    losses: list[float] = []
    finite: list[bool] = []
    start = time.perf_counter()
    while len(losses) < 2 or time.perf_counter() - start < scale.fp16_seconds:
        result = stepper.step(next(steps), params.train.learning_rate)
        losses.append(result.losses[0])
        finite.append(result.is_finite)
    tail = max(1, len(losses) // 10)
    figures = {"steps": len(losses), "left out": finite.count(False), "loss scale": stepper.scaler.get_scale()}
    figures |= {"loss at first": float(np.mean(losses[:tail])), "at last": float(np.mean(losses[-tail:]))}
    return figures | fp16_fault(losses, finite, stepper.detector)


def fp16_fault(losses: list[float], finite: list[bool], detector: nn.Module) -> Figures:
    """The fault of a training whose weights or losses are not finite, or that leaves out too many steps."""
    late = finite[SEARCH:]
    if not all(map(math.isfinite, losses)):
        return {"fault": f"{sum(not math.isfinite(loss) for loss in losses)} losses are not finite"}
    if not all(bool(weight.isfinite().all()) for weight in detector.parameters()):
        return {"fault": "weights are not finite"}
    if not any(finite):
        return {"fault": "the gradient of no step was finite: nothing was learnt"}
    if late.count(False) > SKIPPED * max(1, len(late)):
        return {"fault": f"{late.count(False)} of {len(late)} steps were left out after the first {SEARCH}"}
    return {}


def inference(folder: Path, scale: Scale, *, backbone: str, runs_in: str) -> Figures:
    """Milliseconds an image from canvas to garments in float32, decoding included, before NMS; edge.py's runners."""
    device = _onnx_device() if runs_in == "float32" else the_device().type
    canvases, run = np.load(folder / "canvases.npy"), runner(runs_in, folder / backbone, device)
    run(canvases[:1])
    run(canvases)  # what compiles, compiles now
    with FileLock(folder / "lock"):
        times = {f"ms, batch {size}": ms_an_image(run, canvases, size, scale.seconds) for size in (1, len(canvases))}
    peak = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" and runs_in != "float32" else None
    return {"on": device, **times, "GB": peak}


def _onnx_device() -> str:
    import onnxruntime

    return "cuda" if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "cpu"


ROWS: dict[str, Callable[..., Figures]] = {
    one.__name__: one for one in (data, network, correctness, loading, training, fp16, inference)
}


def main(name: str, folder: str, scale: str, options: str) -> None:
    cv2.setNumThreads(0)
    print(json.dumps(ROWS[name](Path(folder), SCALES[scale], **json.loads(options))))


if __name__ == "__main__":
    main(*sys.argv[1:])
