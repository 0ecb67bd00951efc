"""Measures what more workers do not help: the driver of ingest and of shard, and the memory of evaluate.

The driver is the process that gives pieces of work to others and puts their results down in order. Beside ours runs a
plain one: workers return records, which the driver counts and converts, and the records of a shard are sent to the
process that writes it. Both write the same bytes. CPU time is the driver's alone, in a process of its own; "an image"
is what each further image costs, by the difference of two sizes, and the start of workers is told beside it.

    python benchmarks/scale.py
    python benchmarks/scale.py --evaluate 20000    # the memory of evaluate alone, at half as many images and at all
    python benchmarks/scale.py --stages [--before TREE]    # whole stages: Ray, local processes, an earlier version

The memory of evaluate is the peak of a process that does what `deepmark evaluate` does, from the files to the tables;
"an image" is the difference of two sizes again.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from evaluate import make_pictures
from scale_plain import MEGAPIXELS, MIB, plain_ingest, plain_shard
from scale_stages import measure_stages
from shards import draw, item

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.predictions import read_predictions, write_predictions
from deepmark.data.records import read_records, write_records
from deepmark.data.shards.writer import write_shards
from deepmark.eval.analysis.analyse import diagnose_columns, write_tables
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.eval.metric.evaluate import evaluate_columns
from deepmark.params import IngestParams
from deepmark.vocabulary import DEEPFASHION2

IMAGES = 32
"""Different images. The files are links to them; every annotation is different."""


def prepare(raw: Path, count: int) -> None:
    """A split of `count` images with two garments in each."""
    draw(raw / "seed", IMAGES)
    rng = np.random.default_rng(1)
    for kind in ("image", "annos"):
        (raw / "train" / kind).mkdir(parents=True)
    for number in range(1, count + 1):
        os.link(raw / f"seed/image/{number % IMAGES + 1:06d}.jpg", raw / f"train/image/{number:06d}.jpg")
        garments = {f"item{place}": item(rng, int(rng.integers(13))) for place in (1, 2)}
        text = json.dumps({"source": "user", "pair_id": number, **garments})
        (raw / f"train/annos/{number:06d}.json").write_text(text)


def ingest(folder: Path, workers: int) -> None:
    params = IngestParams(max_rejected_share=0, max_megapixels=MEGAPIXELS)
    ingest_split(
        folder / "raw",
        split="train",
        out=folder / "ours",
        params=params,
        engine=Local(workers),
        vocabulary=DEEPFASHION2,
    )


def shard(folder: Path, workers: int) -> None:
    records, out = folder / "ours/train.parquet", folder / "ours/shards"
    write_shards(records, folder / "raw", out, split="train", seed=1, target_mib=MIB, engine=Local(workers))


class Cost(NamedTuple):
    """What a process takes to do some work, that of its workers left out."""

    seconds: float
    """Of CPU, all threads together."""

    encoding: float
    """Of them, those of the thread that encodes Parquet, beside the others, where there is one."""

    megabytes: float
    """By which its memory grew."""


def _measured(work: Callable[[Path, int], None], folder: Path, workers: int, answer: Connection) -> None:
    encoding, write, main = 0.0, pq.ParquetWriter.write_table, threading.get_ident()

    def timed(*args: Any, **options: Any) -> None:
        nonlocal encoding
        started = time.thread_time()
        write(*args, **options)
        if threading.get_ident() != main:
            encoding += time.thread_time() - started

    pq.ParquetWriter.write_table = timed
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    work(folder, workers)
    seconds, peak = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer.send(Cost(seconds, encoding, (peak - before) / 2**10))


def measure(work: Callable[[Path, int], None], folder: Path, workers: int) -> Cost:
    """What a process of its own takes to do the work."""
    context = multiprocessing.get_context("spawn")
    answer, other = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(work, folder, workers, other))
    process.start()
    other.close()
    found = answer.recv()
    process.join()
    return found


def predicted(folder: Path, count: int, detections: int) -> None:
    """Files of records and of predictions, these in another order, as shards have."""
    folder.mkdir()
    records, predictions = make_pictures(count, detections)
    order = np.random.default_rng(3).permutation(count)
    write_records(folder / "records.parquet", records, vocabulary=DEEPFASHION2)
    rows = ((predictions[i].image_id, predictions[i].file, predictions[i].detections) for i in order)
    write_predictions(folder / "none.parquet", rows, {})


def evaluated(folder: Path, resamples: int) -> None:
    truth = truth_columns(read_records(folder / "records.parquet"))
    results = detection_columns(read_predictions(folder / "none.parquet")[0], truth)
    report = evaluate_columns(truth, results, resamples=resamples)
    tables = {"ap": report.to_frame(), **diagnose_columns(truth, results)}
    (folder / "tables").mkdir()
    write_tables(folder / "tables", tables)


def measure_evaluate(folder: Path, count: int, detections: int, resamples: int) -> None:
    """Print by how much the memory of evaluate grows with each image."""
    peaks = []
    for part in (count // 2, count):
        place = folder / str(part)
        process = multiprocessing.get_context("spawn").Process(target=predicted, args=(place, part, detections))
        process.start()  # so that the memory of drawing is not counted
        process.join()
        peaks.append(measure(evaluated, place, resamples).megabytes)
    each = (peaks[1] - peaks[0]) * 2**10 / (count - count // 2)
    print(
        f"evaluate, {detections} detections an image, {resamples} resamples: {each:.1f} KB an image; memory grew by "
        f"{peaks[0]:,.0f} MB for {count // 2:,} and {peaks[1]:,.0f} MB for {count:,}"
    )


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of the records and of the tars."""
    files = [folder / "train.parquet", *(folder / "shards").glob("*.tar")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=12_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the files go, 160 KB a picture")
    parser.add_argument("--stages", action="store_true", help="measure the commands of whole stages instead")
    parser.add_argument("--before", type=Path, metavar="TREE", help="for --stages: the source of an earlier version")
    parser.add_argument("--evaluate", type=int, metavar="IMAGES", help="measure the memory of evaluate instead")
    parser.add_argument("--detections", type=int, default=81, help="in each image, for --evaluate")
    parser.add_argument("--resamples", type=int, default=10, help="for --evaluate; each takes a byte an image")
    args = parser.parse_args()
    if args.evaluate:
        with tempfile.TemporaryDirectory(dir=args.folder) as name:
            measure_evaluate(Path(name), args.evaluate, args.detections, args.resamples)
        return
    if args.stages:
        with tempfile.TemporaryDirectory(dir=args.folder) as name:
            measure_stages(Path(name), args.before, args.workers)
        return
    counts = args.pictures // 4, args.pictures
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folders = [Path(name) / str(count) for count in counts]
        for folder, count in zip(folders, counts, strict=True):
            prepare(folder / "raw", count)
        for what, ways in (("ingest", (plain_ingest, ingest)), ("shard", (plain_shard, shard))):
            each = []
            for work in ways:
                less, more = (measure(work, folder, args.workers) for folder in folders)
                images = counts[1] - counts[0]
                each.append((more.seconds - less.seconds) / images)
                encoding = (more.encoding - less.encoding) / images
                who = "ours" if work is ways[1] else "plain"
                print(
                    f"{what:8}{who:8}{1e3 * each[-1]:.4f} ms an image, of which {1e3 * encoding:.4f} by the thread "
                    f"that encodes Parquet; {less.seconds - each[-1] * counts[0]:.2f} s to start, memory grew by "
                    f"{more.megabytes:,.0f} MB",
                    flush=True,
                )
            print(f"{what:8}{each[0] / each[1]:.1f} times less", flush=True)
        for folder in folders:
            assert digests(folder / "ours") == digests(folder / "plain")


if __name__ == "__main__":
    main()
