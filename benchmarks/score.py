"""Scoring a results file as large as the validation split's: ours, hotcoco given the whole file, and pycocotools.

Makes a data set and results in the official converter's layout with random garments, a share of which is found. Each
way runs in a process of its own, so that memory is its own; pycocotools on fewer pictures, and extrapolated.

    python benchmarks/score.py --pictures 32153 --judged 3215
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from deepmark.eval.coco_score.score import score_files
from deepmark.vocabulary import DEEPFASHION2

ITEMS_A_PICTURE = 52_490 / 32_153
SHARES = np.array([category.released_items["validation"] for category in DEEPFASHION2.categories])


def keypoints(category: int, rows: np.ndarray, zero: str) -> str:
    span = DEEPFASHION2.categories[category].span
    numbers = [zero] * (3 * DEEPFASHION2.landmarks)
    numbers[3 * span.start : 3 * span.stop] = map(repr, rows.ravel().tolist())
    return f', "keypoints": [{", ".join(numbers)}]}}'


def write_files(folder: Path, *, pictures: int, per_picture: int, zero: str, rng: np.random.Generator) -> None:
    """truth.json and results.json; of the results of a picture, the first ones are near its items."""
    with (folder / "truth.json").open("w") as truth, (folder / "results.json").open("w") as results:
        names = [{"id": each.index + 1, "name": each.coco_name} for each in DEEPFASHION2.categories]
        head = {"images": [{"id": i} for i in range(1, pictures + 1)], "categories": names}
        truth.write(json.dumps(head)[:-1] + ', "annotations": [')
        results.write("[")
        items = 0
        for image in range(1, pictures + 1):
            wanted = round(image * ITEMS_A_PICTURE) - items
            for place in range(per_picture):
                category = int(rng.choice(len(DEEPFASHION2.categories), p=SHARES / SHARES.sum()))
                box = np.concatenate([rng.uniform(0, 300, 2), rng.uniform(40, 300, 2)]).round()
                points = (box[:2] + rng.random((DEEPFASHION2.categories[category].landmarks, 2)) * box[2:]).round()
                if place < wanted:
                    v = rng.integers(0, 3, len(points))
                    fields = {"id": items + 1, "image_id": image, "category_id": category + 1, "bbox": box.tolist()}
                    fields |= {"area": box[2] * box[3], "iscrowd": 0, "num_keypoints": int((v > 0).sum())}
                    rows = np.column_stack([points * (v > 0)[:, None], v])
                    truth.write(", " * (items > 0) + json.dumps(fields)[:-1] + keypoints(category, rows, zero))
                    items += 1
                near = np.float32(points + rng.normal(0, 3, points.shape))
                fields = {"image_id": image, "category_id": category + 1, "score": float(np.float32(rng.random()))}
                fields |= {"bbox": np.float32(box + rng.normal(0, 3, 4)).tolist()}
                rows = np.column_stack([near, np.ones(len(near), np.float32)])
                comma = ", " * (image > 1 or place > 0)
                results.write(comma + json.dumps(fields)[:-1] + keypoints(category, rows, zero))
        truth.write("]}")
        results.write("]")


def whole_file(folder: Path, kind: str) -> list[float]:
    """hotcoco as its documentation has it."""
    from hotcoco import COCO, COCOeval

    truth = COCO(str(folder / "truth.json"))
    evaluation = COCOeval(truth, truth.load_res(str(folder / "results.json")), kind)
    if kind == "keypoints":
        evaluation.params.kpt_oks_sigmas = list(DEEPFASHION2.sigmas)
    warnings.simplefilter("ignore")
    evaluation.run()
    return list(evaluation.stats)


def measure(way: str, kind: str, folder: Path) -> None:
    """One way in this process, told as JSON on standard error."""
    start = time.process_time()
    if way == "hotcoco, whole file":
        figures = whole_file(folder, kind)
    else:
        engine = "pycocotools" if way == "pycocotools" else "hotcoco"
        scores = score_files(folder / "truth.json", folder / "results.json", kind=kind, engine=engine, scratch=folder)
        figures = scores.as_dict()["stats"]["official"]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps([time.process_time() - start, memory, figures]), file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=32_153, help="(default %(default)s)")
    parser.add_argument("--results", type=int, default=20, help="a picture (default %(default)s)")
    parser.add_argument("--judged", type=int, default=3_215, help="pictures for pycocotools (default %(default)s)")
    parser.add_argument("--zero", choices=("0", "0.0"), default="0", help="how files write zeros (default %(default)s)")
    parser.add_argument("--measure", nargs=3, metavar=("WAY", "KIND", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure[0], options.measure[1], Path(options.measure[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        few, all_of_them = Path(folder) / "few", Path(folder) / "all"
        for path, pictures in ((few, options.judged), (all_of_them, options.pictures)):
            path.mkdir()
            rng = np.random.default_rng(0)
            write_files(path, pictures=pictures, per_picture=options.results, zero=options.zero, rng=rng)
        size = (all_of_them / "results.json").stat().st_size
        print(f"{options.pictures:,} pictures, {options.results} results each, a file of {size / 1e9:.2f} GB")
        for kind in ("keypoints", "bbox"):
            for path, way in (
                (few, "pycocotools"),
                (few, "ours"),
                (all_of_them, "ours"),
                (all_of_them, "hotcoco, whole file"),
            ):
                command = [sys.executable, __file__, "--measure", way, kind, str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds, memory, figures = json.loads(done.stderr.splitlines()[-1])
                count = options.judged if path == few else options.pictures
                told = f"{kind:9} {way:20} {count:>6,} pictures {seconds:8.1f} s of CPU {memory:6.2f} GiB"
                print(f"{told}   AP {figures[0]:.15f}", flush=True)


if __name__ == "__main__":
    main()
