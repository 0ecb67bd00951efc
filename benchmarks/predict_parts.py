"""Measures `deepmark predict` in parts beside one pass over the shards without parts, and compares the files' bytes.

Draws images, makes shards of them, and predicts them by an untrained network: in one pass, in parts by one process that
uses all cores, and in parts by several processes that share the cores. Every way runs in each round, in turn, in a
process of its own. Prints images a second, with everything from loading the model to the file on disk, the ratio to
one pass in the same round, and whether the files are equal.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq

from deepmark import stages
from deepmark.compute.local import Local
from deepmark.data.predictions import write_predictions
from deepmark.data.shards.reader import ShardReader
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor, best_device, predict_shards
from deepmark.infer.predict_file import predict_file
from deepmark.model.detector import build_detector, load_network, save_detector
from deepmark.params import model_params
from deepmark.synthetic import draw_dataset
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace


def one_pass(model: Path, reader: ShardReader, out: Path, strategy: str) -> None:
    """As before there were parts."""
    predictor = Predictor(load_network(model), strategy, PROFILE_PREDICT_PARAMS, best_device())
    batch_size = PROFILE_PREDICT_PARAMS.batch_size
    write_predictions(out, predict_shards(reader, predictor, batch_size=batch_size), {})


def in_parts(model: Path, reader: ShardReader, out: Path, strategy: str, processes: int | None) -> None:
    engine, kept = Local(processes), out.with_suffix(".parts")
    params = PROFILE_PREDICT_PARAMS
    predict_file(model, reader, out, strategy=strategy, params=params, run_id="", engine=engine, parts=kept)


def measure(root: Path, way: str, strategy: str) -> None:
    """Predict once, and print seconds and a digest of the detections."""
    model, shards, out = root / "model.safetensors", Workspace(root).shards("validation"), root / "out.parquet"
    start = time.perf_counter()
    reader = ShardReader(shards)
    if way == "one pass":
        one_pass(model, reader, out, strategy)
    else:
        processes = int(way.split()[-2]) if "processes" in way else None
        in_parts(model, reader, out, strategy, processes)
    seconds = time.perf_counter() - start
    table = pq.read_table(out)
    digest = hashlib.sha256(json.dumps(table.to_pylist()).encode()).hexdigest()
    groups = pq.ParquetFile(out).metadata.num_row_groups
    print(json.dumps([seconds, len(reader), f"{digest[:16]}, {groups} row groups"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--backbone", default="mobile")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 192), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--strategy", default="nms")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        measure(args.folder, args.way, args.strategy)
        return
    ways = ["one pass", "parts, one process", f"parts, {args.processes} processes"]
    found: dict[str, list[tuple[float, str]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory(prefix="deepmark-parts-") as name:
        root = Path(name)
        workspace = init_workspace(root / "new", "demo")
        draw_dataset(workspace.raw, train=0, validation=args.images, seed=1, engine=Local())
        stages.ingest(workspace, split="validation")
        stages.shard(workspace, split="validation")
        params = model_params(backbone=args.backbone, input_size=tuple(args.size))
        save_detector(build_detector(params, DEEPFASHION2, seed=1), workspace.root / "model.safetensors")
        command = [sys.executable, __file__, "--strategy", args.strategy, "--folder", str(workspace.root), "--way"]
        for _ in range(args.rounds):
            for way in ways:
                done = subprocess.run([*command, way], env=os.environ, capture_output=True, text=True, check=True)
                seconds, count, digest = json.loads(done.stdout.splitlines()[-1])
                found[way].append((count / seconds, digest))
    print("| way | images a second, median | of one pass | detections |\n|---|---:|---:|---|")
    for way, runs in found.items():
        ratio = median(speed / plain for (speed, _), (plain, _) in zip(runs, found[ways[0]], strict=True))
        digests = "; ".join(sorted({digest for _, digest in runs}))
        print(f"| {way} | {median(speed for speed, _ in runs):.1f} | {ratio:.3f} | {digests} |")


if __name__ == "__main__":
    main()
