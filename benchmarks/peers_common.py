"""What the contenders of peers.py share: the task, COCO results, and timing. Imports nothing of DeepMark.

A contender is a script with three parts, `train`, `predict` and `speed`. A part gets the task and a folder of its own,
and returns figures, which are written to {part}.json in that folder when it is done.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MOST_RESULTS = 100
"""Results of an image that COCO's metric looks at."""

Detection = tuple[int, float, Sequence[float], np.ndarray]
"""Category 0..12, score, box x0 y0 x1 y1, and the category's own landmarks (k, 2); pixels of the original image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What all contenders work on; the content of task.json."""

    folder: Path
    """Holds task.json, {split}.json in COCO's layout, and canvases.npy: (n, height, width, 3) RGB bytes."""

    images: dict[str, str]
    """The folder of the images, by split."""

    names: list[str]
    """Of the 13 categories."""

    spans: list[tuple[int, int]]
    """The first landmark of each category in the flat list of 294, and the one after its last."""

    mirror: list[int]
    """The landmark of the flat list that each becomes in the mirrored image."""

    sigmas: list[float]
    """OKS sigmas of the flat list."""

    input_size: tuple[int, int]
    """Height and width of the networks' input, pixels."""

    batch: int
    """Images a step."""

    threads: int
    minutes: float
    """Of training."""

    seconds: float
    """Of each measurement of speed."""

    def files(self, split: str) -> list[Path]:
        return sorted(Path(self.images[split]).glob("*.jpg"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """Of a contender that takes part more than once."""

    landmarks: int
    """Channels: 294, or 39 that the categories share."""

    recipe: str
    """defaults: as it comes; short: made for a training of minutes."""


Part = Callable[[Task, Path, Variant], dict[str, Any]]


def read_task(file: Path) -> Task:
    values = json.loads(file.read_text("utf-8"))
    return Task(folder=file.parent, **values | {"input_size": tuple(values["input_size"])})


def run_part(parts: dict[str, Part]) -> None:
    """The command line of a contender: PART TASK.json FOLDER."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=list(parts))
    parser.add_argument("task", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--landmarks", type=int, choices=(39, 294), default=294)
    parser.add_argument("--recipe", choices=("defaults", "short"), default="defaults")
    given = parser.parse_args()
    variant = Variant(landmarks=given.landmarks, recipe=given.recipe)
    figures = parts[given.part](read_task(given.task), given.folder, variant)
    draft = given.folder / f"{given.part}.tmp"
    draft.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    draft.replace(given.folder / f"{given.part}.json")


def own_landmarks(task: Task, category: int, landmarks: np.ndarray) -> np.ndarray:
    """The category's own of an item's 294 or 39 landmarks; of 39, they are the first."""
    start, stop = task.spans[category]
    return landmarks[start:stop] if len(landmarks) == task.spans[-1][1] else landmarks[: stop - start]


def write_results(file: Path, task: Task, images: Iterable[tuple[int, Iterable[Detection]]]) -> dict[str, int]:
    """Write a COCO results file, image by image: the id of each, and its detections, best first."""
    seen = results = 0
    draft = file.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as out:
        out.write("[")
        for image_id, detections in images:
            seen += 1
            for category, score, (x0, y0, x1, y1), landmarks in list(detections)[:MOST_RESULTS]:
                keypoints = np.zeros((task.spans[-1][1], 3))
                start, stop = task.spans[category]
                keypoints[start:stop] = np.column_stack([landmarks, np.ones(stop - start)])
                row = {
                    "image_id": image_id,
                    "category_id": category + 1,
                    "score": float(score),
                    "bbox": [float(value) for value in (x0, y0, x1 - x0, y1 - y0)],
                    "keypoints": [value or 0 for value in keypoints.ravel().tolist()],
                }
                out.write((",\n" if results else "\n") + json.dumps(row))
                results += 1
        out.write("\n]\n")
    draft.replace(file)
    return {"images": seen, "results": results}


def milliseconds(run: Callable[[np.ndarray], object], canvases: np.ndarray, seconds: float) -> float:
    """The median of one canvas after the other, one at a time; the first ones warm up."""
    for canvas in canvases[:3]:
        run(canvas)
    times: list[float] = []
    while sum(times) < seconds or len(times) < 5:
        canvas = canvases[len(times) % len(canvases)]
        began = time.perf_counter()
        run(canvas)
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


def onnx_runner(file: Path, threads: int) -> Callable[[np.ndarray], object]:
    """Runs a file whose one input is a batch of one image, RGB in 0..1, channels first."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    (fed,) = session.get_inputs()
    batched = len(fed.shape) == 4

    def run(canvas: np.ndarray) -> object:
        image = np.ascontiguousarray(canvas.transpose(2, 0, 1), np.float32) / 255
        return session.run(None, {fed.name: image[None] if batched else image})

    return run


def per_second(batches: Iterable[int], seconds: float) -> float:
    """Samples a second of a loader, told by the sizes of its batches; the first batch, which starts it, is left out."""
    numbers = iter(batches)
    next(numbers)
    count, began = 0, time.perf_counter()
    for size in numbers:
        count += size
        if time.perf_counter() - began > seconds:
            break
    return count / (time.perf_counter() - began)
