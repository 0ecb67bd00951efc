"""The whole validation set evaluated: seconds and memory by ours, by hotcoco, and by stock pycocotools on a part of it.

Every run is a process of its own, so that its peak memory is its own. Making the pictures is not timed, but in its
memory; nor is writing the files that hotcoco reads. Seconds of pycocotools are for the part it was given, and what the
whole would take is that in proportion.

    python benchmarks/evaluate.py
    python benchmarks/evaluate.py --pictures 3000 --part 500
"""

import argparse
import contextlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from deepmark.data.coco.convert import coco_results, coco_truth
from deepmark.data.coco.writer import write_coco_results
from deepmark.eval.metric.evaluate import evaluate
from deepmark.types import Detections, Garment, ImageRecord, Prediction
from deepmark.vocabulary import DEEPFASHION2

ITEMS_A_PICTURE = 52_490 / 32_153
SHARES = np.array([category.released_items["validation"] for category in DEEPFASHION2.categories], np.float64)
FIGURES = (("box", "bbox", False), ("landmark_visible", "keypoints", True), ("landmark", "keypoints", False))


def make_pictures(pictures: int, results: int) -> tuple[list[ImageRecord], list[Prediction]]:
    """Items as frequent as in the released validation set; a good detection for most, the other detections strays."""
    rng = np.random.default_rng(0)
    probability = SHARES / SHARES.sum()
    records, predictions = [], []
    for number in range(1, pictures + 1):
        garments = [_garment(rng, probability) for _ in range(1 + rng.binomial(4, (ITEMS_A_PICTURE - 1) / 4))]
        records.append(
            ImageRecord(
                id=number,
                file=f"image/{number:06d}.jpg",
                sha256="0" * 64,
                bytes=1,
                width=750,
                height=1000,
                source="shop" if rng.random() < 0.5 else "user",
                pair_id=number,
                garments=tuple(garments),
            )
        )
        found = _detections(rng, garments, results, probability)
        predictions.append(Prediction(number, records[-1].file, found))
    return records, predictions


def _garment(rng: np.random.Generator, probability: np.ndarray) -> Garment:
    category = DEEPFASHION2.categories[rng.choice(len(DEEPFASHION2.categories), p=probability)]
    corner, size = rng.uniform(0, 400, 2), rng.uniform(60, 500, 2)
    points = corner + np.array(category.shape.points) * size
    state = rng.choice(3, (category.landmarks, 1), p=[0.15, 0.25, 0.6]).astype(np.float64)
    return Garment(
        item="item1",
        category=category.index,
        style=0,
        box=np.concatenate([corner, corner + size]),
        landmarks=np.where(state > 0, np.concatenate([points, state], axis=1), 0.0),
        polygons=(),
        scale=int(rng.integers(1, 4)),
        occlusion=int(rng.integers(1, 4)),
        zoom_in=int(rng.integers(1, 4)),
        viewpoint=int(rng.integers(1, 4)),
    )


def _detections(rng: np.random.Generator, garments: list[Garment], results: int, probability: np.ndarray) -> Detections:
    corner = rng.uniform(0, 400, (results, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(60, 500, (results, 2))], axis=1)
    categories = rng.choice(len(DEEPFASHION2.categories), results, p=probability)
    scores = rng.beta(0.5, 5, results)
    for i, garment in enumerate(garments[:results]):
        if rng.random() < 0.9:
            boxes[i] = garment.box + rng.normal(0, 12, 4)
            categories[i] = garment.category if rng.random() < 0.85 else categories[i]
            scores[i] = rng.beta(5, 2)
    order = np.argsort(-scores)
    boxes, categories, scores = boxes[order], categories[order], scores[order]
    landmarks = np.zeros((results, DEEPFASHION2.most_landmarks, 2), np.float32)
    for row, box, index in zip(landmarks, boxes, categories, strict=True):
        points = np.array(DEEPFASHION2.categories[index].shape.points)
        row[: len(points)] = box[:2] + points * (box[2:] - box[:2]) + rng.normal(0, 6, points.shape)
    return Detections(
        boxes=boxes.astype(np.float32),
        scores=scores.astype(np.float32),
        categories=categories.astype(np.int64),
        landmarks=landmarks,
        landmark_scores=np.zeros((results, DEEPFASHION2.most_landmarks), np.float32),
    )


def by_arrays(records: list, predictions: list, **choices: object) -> list[float | None]:
    report = evaluate(records, predictions, **choices)
    return [report.value(f"{kind}_ap") for kind, *_ in FIGURES]


def by_hotcoco(folder: Path) -> list[float | None]:
    """The whole files at once, as its users do; `deepmark score` needs less memory (benchmarks/score.py)."""
    from hotcoco import COCO, COCOeval

    figures = []
    for _, kind, visible_only in FIGURES:
        truth = COCO(str(folder / ("visible.json" if visible_only else "truth.json")))
        evaluation = COCOeval(truth, truth.load_res(str(folder / "results.json")), kind)
        if kind == "keypoints":
            evaluation.params.kpt_oks_sigmas = list(DEEPFASHION2.sigmas)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        figures.append(float(evaluation.stats[0]))
    return figures


def write_files(folder: Path, records: list, predictions: list) -> None:
    """What hotcoco reads, in the official converter's layout."""
    for name, visible_only in (("truth", False), ("visible", True)):
        dataset = coco_truth(records, visible_only=visible_only, vocabulary=DEEPFASHION2)
        for annotation in dataset["annotations"]:
            annotation["keypoints"] = np.asarray(annotation["keypoints"]).tolist()
        (folder / f"{name}.json").write_text(json.dumps(dataset), "utf-8")
    write_coco_results(folder / "results.json", predictions)


def by_pycocotools(records: list, predictions: list) -> list[float | None]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    figures = []
    for _, kind, visible_only in FIGURES:
        truth, results = COCO(), COCO()
        truth.dataset = coco_truth(records, visible_only=visible_only, vocabulary=DEEPFASHION2)
        results.dataset = {**truth.dataset, "annotations": coco_results(predictions)}
        with contextlib.redirect_stdout(io.StringIO()):
            truth.createIndex()
            results.createIndex()
            evaluation = COCOeval(truth, results, kind)
            if kind == "keypoints":
                evaluation.params.kpt_oks_sigmas = np.array(DEEPFASHION2.sigmas)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        figures.append(float(evaluation.stats[0]))
    return figures


RUNS = {
    "arrays": lambda *data: by_arrays(*data, by_subset=False),
    "arrays, by subset": by_arrays,
    "arrays, 1,000 resamples": lambda *data: by_arrays(*data, by_subset=False, resamples=1000),
    "arrays, by subset, 1,000 resamples": lambda *data: by_arrays(*data, resamples=1000),
    "hotcoco, whole files": by_hotcoco,
    "pycocotools": by_pycocotools,
}


def run(name: str, pictures: int, results: int) -> None:
    """One run in this process; its line on standard output."""
    data: tuple = make_pictures(pictures, results)
    with tempfile.TemporaryDirectory() as folder:
        if name.startswith("hotcoco"):
            write_files(Path(folder), *data)
            data = (Path(folder),)
        _measure(name, data, pictures)


def _measure(name: str, data: tuple, pictures: int) -> None:
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    wall, cpu = time.perf_counter(), time.process_time()
    figures = RUNS[name](*data)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    values = "  ".join("-" if value is None else f"{value:.6f}" for value in figures)
    whole = wall / pictures * 32_153
    print(f"{name:36} {pictures:7,} {wall:8.1f} {cpu:8.1f} {whole:10.0f} {peak:7.2f} {made:6.2f}  {values}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=32_153, help="for ours (default %(default)s)")
    parser.add_argument("--results", type=int, default=20, help="detections a picture (default %(default)s)")
    parser.add_argument("--part", type=int, default=2_000, help="pictures for pycocotools (default %(default)s)")
    parser.add_argument("--only", choices=RUNS, help="one run, in this process")
    options = parser.parse_args()
    if options.only:
        run(options.only, options.pictures, options.results)
        return
    print(f"{'':36} pictures   wall s    CPU s  s of 32153   GiB  data  AP: box, landmarks visible, landmarks")
    again = [sys.executable, __file__, "--results", str(options.results)]
    for name in RUNS:
        pictures = options.part if name == "pycocotools" else options.pictures
        subprocess.run([*again, "--pictures", str(pictures), "--only", name], check=True)
    subprocess.run([*again, "--pictures", str(options.part), "--only", "arrays"], check=True)


if __name__ == "__main__":
    main()
