"""The error of `deepmark measure` on drawn images, whose garments' own lengths are known.

For each measurement: what perfect landmarks are off from the garment's own length, because an image is a projection;
what the detector's are off from perfect ones; and how often the interval of 95% holds the length of the perfect ones.

    python benchmarks/measurements.py --model runs/demo/data/checkpoint/model.safetensors
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from deepmark import load_detector
from deepmark.measure.measure import measure, path_length
from deepmark.measure.precision import Precision, by_evaluation, by_oks
from deepmark.measure.scale import Scale
from deepmark.measure.table import Measurement, read_table
from deepmark.progress import progress
from deepmark.schema import SAME_GARMENT_IOU
from deepmark.synthetic.camera import Camera
from deepmark.synthetic.scene import draw_image
from deepmark.types import Detections
from deepmark.vocabulary import DEEPFASHION2

_SPLIT = "validation"


class Labelled(NamedTuple):
    """A drawn garment that was annotated."""

    category: int
    box: np.ndarray
    points: np.ndarray
    """Where its landmarks are in the image, not rounded."""

    inside: np.ndarray
    """Which of them are in the image."""

    camera: Camera
    turned: bool


def labelled(drawn) -> Iterator[Labelled]:
    items = [value for key, value in drawn.annotation.items() if key.startswith("item")]
    for item in items:
        values = np.array(item["landmarks"]).reshape(-1, 3)
        seen = values[:, 2] > 0
        for painted in drawn.painted:
            placed = painted.placed
            same = placed.design.category == item["category_id"] - 1 and seen.any()
            if same and (np.abs(placed.landmarks - values[:, :2])[seen] <= 1).all():
                yield Labelled(
                    category=placed.design.category,
                    box=np.array(item["bounding_box"], float),
                    points=placed.landmarks,
                    inside=seen,
                    camera=placed.camera,
                    turned=placed.camera.x_scale < 0.8,
                )
                break


def on_the_garment(camera: Camera, pixels: np.ndarray) -> np.ndarray:
    """The inverse of the camera: pixels of the image to pixels on the flat garment, at the camera's scale."""
    points = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(camera.homography).T
    x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    amplitude, frequency, phase = camera.bend
    goal = x - amplitude * np.sin(frequency * y + phase)
    x = goal.copy()
    for _ in range(50):
        x = goal / (1 + camera.x_perspective * np.clip(x, -1, 1))
    return np.column_stack([x / camera.x_scale, y]) * camera.scale


def matched(garment: Labelled, detections: Detections) -> int | None:
    """The row of the best detection of the garment's category that overlaps it enough."""
    boxes = detections.boxes.astype(np.float64)
    sides = np.minimum(boxes[:, 2:], garment.box[2:]) - np.maximum(boxes[:, :2], garment.box[:2])
    shared = sides.clip(0).prod(axis=1)
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (garment.box[2:] - garment.box[:2]).prod() - shared
    overlap = np.where(detections.categories == garment.category, shared / whole, 0)
    return int(overlap.argmax()) if len(overlap) and overlap.max() >= SAME_GARMENT_IOU else None


def rows_of(garment: Labelled, detections: Detections, precision: Precision, table) -> Iterator[dict]:
    row = matched(garment, detections)
    if row is None:
        return
    flat = on_the_garment(garment.camera, garment.points)
    (found,) = measure(detections[[row]], table, precision, Scale())
    paths: dict[str, Measurement] = {one.name: one for one in table[DEEPFASHION2.categories[garment.category].name]}
    for one in found.lengths:
        path = list(paths[one.name].landmarks)
        if not garment.inside[path].all():
            continue
        perfect, own = path_length(garment.points[path]), path_length(flat[path])
        yield {
            "measurement": one.name.removeprefix("left ").removeprefix("right "),
            "turned": garment.turned,
            "hidden": bool(one.hidden),
            "projection": abs(perfect / own - 1),
            "landmarks": abs(one.value / perfect - 1),
            "both": abs(one.value / own - 1),
            "covered": one.low <= perfect <= one.high,
            "half": (one.high - one.low) / 2 / perfect,
            "pixels": abs(one.value - perfect),
        }


def summary(name: str, rows: pd.DataFrame) -> str:
    cells = [f"{100 * rows[column].median():.1f}" for column in ("projection", "landmarks", "both", "half")]
    return f"| {name} | {len(rows):,} | {' | '.join(cells)} | {100 * rows.covered.mean():.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--precision", type=Path, help="landmarks.csv of an evaluation; else the sigmas of OKS")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1001, help="of the drawings; not that of the training's")
    arguments = parser.parse_args()
    detector, table = load_detector(arguments.model), read_table(None, DEEPFASHION2)
    precision = by_evaluation(arguments.precision, DEEPFASHION2) if arguments.precision else by_oks(DEEPFASHION2)
    rows, garments = [], 0
    with progress("measure", arguments.images) as advance:
        for index in range(arguments.images):
            drawn = draw_image(seed=arguments.seed, split=_SPLIT, index=index)
            detections = detector(drawn.image)
            for garment in labelled(drawn):
                garments += 1
                rows += rows_of(garment, detections, precision, table)
            advance(1)
    found = pd.DataFrame(rows)
    print(f"{arguments.images} images, {garments} labelled garments; precision by {precision.source}; medians\n")
    print("| measurement | lengths | projection, % | landmarks, % | both, % | half interval, % | covered, % |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    front = found[~found.turned]
    for name, part in sorted(front.groupby("measurement"), key=lambda pair: -len(pair[1])):
        print(summary(name, part))
    print(summary("**all, seen from the front or laid out**", front))
    print(summary("all, turned aside", found[found.turned]))
    print(summary("with a hidden landmark", front[front.hidden]))
    print(summary("without", front[~front.hidden]))


if __name__ == "__main__":
    main()
