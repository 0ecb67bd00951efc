"""torchvision's Keypoint R-CNN as a contender of peers.py, in an environment of its own.

Network, losses, anchors and thresholds are torchvision's, its training that of torchvision's reference script: SGD, two
images a step and process at rate .0025, momentum .9, decay 1e-4, mirroring, and rates that fall at 36/46 and 43/46. It
is helped where its defaults would leave it no more than a few steps: the head of landmarks, 21 GFLOP of training for
each region, learns from 16 regions of an image instead of 128, and the warm-up, else 1,000 steps, takes 15% of the
time. At prediction it keeps 20 results of an image, all that the metric of landmarks looks at. The size of the input is
the task's, and weights start at random.
"""

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

BATCH, RATE, FALLS = 2, 0.0025, (36 / 46, 43 / 46)
REGIONS = 64
"""Of an image, a quarter of them with garments."""

WARM_UP = 0.15
MIRRORED = 0.5
MOST = 20
"""Results of an image."""

TOGETHER = 8
"""Images at once in prediction."""


def network(task: Task) -> nn.Module:
    load_operators()
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    torch.manual_seed(1)
    torch.set_num_threads(task.threads)
    return keypointrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=len(task.names) + 1,
        num_keypoints=task.spans[-1][1],
        min_size=min(task.input_size),
        max_size=max(task.input_size),
        box_detections_per_img=MOST,
        box_batch_size_per_image=REGIONS,
    )


def pixels(file: Path) -> Tensor:
    return torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1).float() / 255


class Labelled(Dataset):
    """The training images, mirrored at random, with what the network learns from."""

    def __init__(self, task: Task) -> None:
        self.folder, self.mirror = Path(task.images["train"]), task.mirror
        content = json.loads((task.folder / "train.json").read_text("utf-8"))
        items: dict[int, list[tuple[list[float], int, np.ndarray]]] = {}
        for fields in content["annotations"]:
            points = np.array(fields["keypoints"], np.float32).reshape(-1, 3)
            items.setdefault(fields["image_id"], []).append((fields["bbox"], fields["category_id"], points))
        self.images = [(each["file_name"], items[each["id"]]) for each in content["images"] if each["id"] in items]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> tuple[Tensor, dict[str, Tensor]]:
        name, items = self.images[position]
        image = pixels(self.folder / name)
        corners = torch.tensor([(x, y, x + width, y + height) for (x, y, width, height), _, _ in items])
        points = torch.from_numpy(np.stack([each for _, _, each in items]))
        if torch.rand(()) < MIRRORED:
            width = image.shape[2]
            image = image.flip(2)
            corners = torch.stack([width - corners[:, 2], corners[:, 1], width - corners[:, 0], corners[:, 3]], 1)
            points = points[:, self.mirror]
            points[..., 0] = (width - points[..., 0]) * (points[..., 2] > 0)
        labels = torch.tensor([category for _, category, _ in items])
        return image, {"boxes": corners, "labels": labels, "keypoints": points}


def batches(task: Task) -> Iterator[list[tuple[Tensor, dict[str, Tensor]]]]:
    loader = DataLoader(
        Labelled(task), BATCH, shuffle=True, num_workers=task.threads, collate_fn=list, persistent_workers=True
    )
    for _ in itertools.count():
        yield from loader


def rate_at(share: float) -> float:
    """The learning rate at a share of the training's time."""
    return RATE * min(1.0, share / WARM_UP) * 0.1 ** sum(share >= fall for fall in FALLS)


def train(task: Task, folder: Path, variant: Variant) -> dict[str, Any]:
    model = network(task).train()
    weights = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.SGD(weights, RATE, momentum=0.9, weight_decay=1e-4)
    samples = steps = 0
    loaded = batches(task)
    first = next(loaded)
    began, seconds = time.perf_counter(), 0.0
    for batch in itertools.chain([first], loaded):
        rate = rate_at(seconds / 60 / task.minutes)
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = model([image for image, _ in batch], [target for _, target in batch])
        total = sum(losses.values())
        if not torch.isfinite(total):
            raise ValueError(f"step {steps + 1}: the loss is not a number: {losses}")
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        samples, steps, seconds = samples + len(batch), steps + 1, time.perf_counter() - began
        print(f"step {steps}, {seconds:.0f} s, loss {total.item():.3f}", flush=True)
        if seconds >= 60 * task.minutes:
            break
    torch.save(model.state_dict(), folder / "model.pt")
    return {"seconds": seconds, "samples": samples, "epochs": samples / len(task.files("train"))}


def trained(task: Task, folder: Path) -> nn.Module:
    model = network(task)
    model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    return model.eval()


@torch.inference_mode()
def predict(task: Task, folder: Path, variant: Variant) -> dict[str, Any]:
    model, images = trained(task, folder), task.files("validation")

    def found() -> Iterator[tuple[int, list[Detection]]]:
        for start in range(0, len(images), TOGETHER):
            files = images[start : start + TOGETHER]
            for file, result in zip(files, model([pixels(file) for file in files]), strict=True):
                rows = {name: values.numpy() for name, values in result.items()}
                categories = rows["labels"] - 1
                yield (
                    int(file.stem),
                    [
                        (int(category), score, box, own_landmarks(task, int(category), points[:, :2]))
                        for category, score, box, points in zip(
                            categories, rows["scores"], rows["boxes"], rows["keypoints"], strict=True
                        )
                    ],
                )

    began = time.perf_counter()
    detections = list(found())
    seconds = time.perf_counter() - began
    return {**write_results(folder / "results.json", task, detections), "seconds": seconds}


def speed(task: Task, folder: Path, variant: Variant) -> dict[str, Any]:
    model = trained(task, folder)
    canvases = np.load(task.folder / "canvases.npy")

    @torch.inference_mode()
    def in_torch(canvas: np.ndarray) -> object:
        return model([torch.from_numpy(canvas).permute(2, 0, 1).float() / 255])

    figures: dict[str, Any] = {
        "parameters": sum(value.numel() for value in model.parameters()),
        "torch_ms": milliseconds(in_torch, canvases, task.seconds),
        "loaded_per_second": per_second(map(len, batches(task)), task.seconds),
    }
    file = folder / "model.onnx"
    example = torch.from_numpy(canvases[0]).permute(2, 0, 1).float() / 255
    try:
        torch.onnx.export(model, ([example],), str(file), dynamo=False)
        return {**figures, "onnx_ms": milliseconds(onnx_runner(file, task.threads), canvases, task.seconds)}
    except Exception as error:  # what an exporter cannot express, it tells by any kind of error
        return {**figures, "onnx_ms": None, "onnx_error": f"{type(error).__name__}: {error}"[:500]}


if __name__ == "__main__":
    run_part({"train": train, "predict": predict, "speed": speed})
