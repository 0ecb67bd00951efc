"""DeepMark beside what else a user could train: the same drawn data, the same time of training, the official metric.

    python benchmarks/peers.py runs/peers                              # everything; what is done is not done again
    python benchmarks/peers.py runs/peers --only ultralytics-39 --parts train predict
    python benchmarks/peers.py runs/peers-toy --toy                    # minutes, to see that it works

Contenders: our `mobile` network by the recipe of the profile `demo`; Ultralytics' pose network of nano size, with 39
landmarks that the categories share or all 294, by its own recipe or one for short trainings; and torchvision's Keypoint
R-CNN with 294. All start from random weights, see images of the same long side, and have two threads. The others run in
FOLDER/.venv, which this script makes from peers_requirements.txt: Ultralytics' licence is AGPL-3.0, and nothing of
DeepMark imports or needs it. Each contender writes a COCO results file, and the same code scores them all.
"""

import argparse
import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from peers_yolo import write_yolo

from deepmark import geometry, stages
from deepmark.data.coco.writer import write_coco
from deepmark.data.records import read_records
from deepmark.eval.coco_score.score import score_files
from deepmark.images import open_image
from deepmark.runtime.canvas import letterboxed
from deepmark.schema import SPLITS
from deepmark.synthetic import draw_dataset
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.environment import child_environment
from deepmark.workspace.init import init_workspace

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "peers_requirements.txt"
PARTS = ("train", "predict", "speed")
CANVASES = 32
SEED = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    words: str
    script: str
    arguments: tuple[str, ...] = ()
    ours: bool = False
    """Runs in DeepMark's environment."""


def _ultralytics(landmarks: int, recipe: str) -> Contender:
    words = f"Ultralytics YOLO26n-pose, {landmarks} landmarks, {recipe} recipe"
    arguments = ("--landmarks", str(landmarks), "--recipe", recipe)
    return Contender(words=words, script="peers_ultralytics.py", arguments=arguments)


CONTENDERS = {
    "ours": Contender(words="DeepMark, `mobile`", script="peers_ours.py", ours=True),
    "ultralytics-39": _ultralytics(39, "defaults"),
    "ultralytics-39-short": _ultralytics(39, "short"),
    "ultralytics-294-short": _ultralytics(294, "short"),
    "keypoint-rcnn": Contender(
        words="torchvision Keypoint R-CNN, ResNet-50, 294 landmarks", script="peers_keypoint_rcnn.py"
    ),
}

COLUMNS: dict[str, tuple[str, Callable[[dict[str, Any]], float]]] = {
    "box AP": (".3f", lambda known: known["box_ap"]),
    "landmark AP": (".3f", lambda known: known["landmark_ap"]),
    "epochs": (".1f", lambda known: known["samples"] / known["train_images"]),
    "parameters, millions": (".2f", lambda known: known["parameters"] / 1e6),
    "ms an image, torch": (".1f", lambda known: known["torch_ms"]),
    "ms, ONNX Runtime": (".1f", lambda known: known["onnx_ms"]),
    "samples/s, training": (".1f", lambda known: known["samples"] / known["seconds"]),
    "loader": (".0f", lambda known: known["loaded_per_second"]),
    "evaluation": (".1f", lambda known: known["images"] / known["predict_seconds"]),
}
"""The table: how a figure is written, and where it comes from."""


def prepare(folder: Path, given: argparse.Namespace) -> None:
    """Draw the data, and write it as each contender reads it; and the task that all of them get."""
    asked = {name: getattr(given, name) for name in ("train", "validation", "minutes", "seconds", "batch", "threads")}
    mark = folder / "asked.json"
    if mark.is_file() and json.loads(mark.read_text("utf-8")) != asked:
        sys.exit(f"{folder}: holds a comparison with other numbers (see {mark}). Remove it, or name another folder.")
    if (folder / "task.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps(asked), "utf-8")
    data = init_workspace(folder / "data", "demo")
    draw_dataset(data.raw, train=given.train, validation=given.validation, seed=SEED)
    for split in SPLITS:
        if not data.shards(split).is_dir():
            stages.ingest(data, split=split)
            stages.shard(data, split=split)
        write_coco(folder / f"{split}.json", read_records(data.records_file(split)), vocabulary=DEEPFASHION2)
    for landmarks in (39, 294):
        splits = {split: (data.raw / split / "image", read_records(data.records_file(split))) for split in SPLITS}
        write_yolo(folder / f"yolo-{landmarks}", splits, landmarks)
    images = {split: data.raw / split / "image" for split in SPLITS}
    size = data.params.model.input_size
    opened = [open_image(file) for file in sorted(images["validation"].iterdir())[:CANVASES]]
    canvases = [letterboxed(image, geometry.letterbox(image.size, size), size) for image in opened]
    np.save(folder / "canvases.npy", np.stack(canvases))
    task = {
        "images": {split: str(images[split]) for split in SPLITS},
        "names": [category.coco_name for category in DEEPFASHION2.categories],
        "spans": [(category.span.start, category.span.stop) for category in DEEPFASHION2.categories],
        "mirror": DEEPFASHION2.mirror,
        "sigmas": DEEPFASHION2.sigmas,
        "input_size": size,
        **{name: asked[name] for name in ("batch", "threads", "minutes", "seconds")},
    }
    (folder / "task.json").write_text(json.dumps(task), "utf-8")


def environment(folder: Path) -> Path:
    """The Python of the others' environment, made where it is missing or for other requirements."""
    python, mark = folder / ".venv/bin/python", folder / ".venv/requirements.txt"
    wanted = REQUIREMENTS.read_text("utf-8")
    if not mark.is_file() or mark.read_text("utf-8") != wanted:
        print(f"Installing {', '.join(wanted.split())} into {folder / '.venv'}", file=sys.stderr, flush=True)
        venv.create(folder / ".venv", with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)], check=True)
        mark.write_text(wanted, "utf-8")
    return python


def run_part(part: str, name: str, folder: Path, threads: int) -> bool:
    """Run a part of a contender, unless its figures are there; what it prints goes to log.txt in its folder."""
    contender, own = CONTENDERS[name], folder / name
    if (own / f"{part}.json").is_file():
        return True
    own.mkdir(exist_ok=True)
    python = Path(sys.executable) if contender.ours else environment(folder)
    settings = {"OMP_NUM_THREADS": str(threads), "YOLO_CONFIG_DIR": str(folder / ".settings")}
    (folder / ".settings").mkdir(exist_ok=True)
    base = child_environment() if contender.ours else {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [python, HERE / contender.script, part, folder / "task.json", own, *contender.arguments]
    print(f"{name}: {part}", file=sys.stderr, flush=True)
    with (own / "log.txt").open("ab") as log:
        done = subprocess.run(command, cwd=own, env=base | settings, stdout=log, stderr=log, check=False)
    if done.returncode:
        last = (own / "log.txt").read_text("utf-8", "replace").splitlines()[-15:]
        print(f"{name}: {part} failed, see {own / 'log.txt'}:", *last, sep="\n  ", file=sys.stderr, flush=True)
    return done.returncode == 0


def known_of(name: str, folder: Path) -> dict[str, Any]:
    """The figures of a contender's finished parts; nothing where none is finished."""
    own = folder / name
    parts = {part: own / f"{part}.json" for part in PARTS if (own / f"{part}.json").is_file()}
    found = {part: json.loads(file.read_text("utf-8")) for part, file in parts.items()}
    known = {**found.get("train", {}), **found.get("speed", {})}
    if predicted := found.get("predict"):
        known |= {"images": predicted["images"], "predict_seconds": predicted["seconds"], **scored(own, folder)}
    return known


def scored(own: Path, folder: Path) -> dict[str, float]:
    """Box AP and landmark AP (visible + occluded) of a contender's results file."""
    file = own / "score.json"
    if not file.is_file():
        aps = {}
        for kind, key in (("bbox", "box_ap"), ("keypoints", "landmark_ap")):
            score = score_files(folder / "validation.json", own / "results.json", kind=kind)
            aps[key] = score.as_dict()["stats"]["official"][0]
        file.write_text(json.dumps(aps), "utf-8")
    return json.loads(file.read_text("utf-8"))


def cells(known: dict[str, Any]) -> Iterator[str]:
    """A row of the table; a dash for what was not measured, or cannot be."""
    for written, figure in COLUMNS.values():
        try:
            yield format(figure(known), written)
        except (KeyError, TypeError):  # the part is not done, or its figure is None
            yield "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=3000, help="drawings to learn")
    parser.add_argument("--validation", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=5, help="of training, for each contender")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement of speed")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS), help="none: the table alone")
    parser.add_argument("--toy", action="store_true", help="48 drawings, seconds of training")
    given = parser.parse_args()
    if given.toy:
        given.train, given.validation, given.minutes, given.seconds = 48, 16, 0.1, 0.5
    folder = given.folder.resolve()
    prepare(folder, given)
    for name in given.only:
        all(run_part(part, name, folder, given.threads) for part in given.parts)
    print(f"| contender | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
    for name, contender in CONTENDERS.items():
        if known := known_of(name, folder):
            print(f"| {contender.words} | {' | '.join(cells(known | {'train_images': given.train}))} |")


if __name__ == "__main__":
    main()
