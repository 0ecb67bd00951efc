"""Measures how fast samples are read from shards: our reader, the webdataset library plain and with our stage, files.

Draws a folder of images of the dataset's usual size, ingests and shards it, and reads everything in each way: the
result is the JPEG's bytes and the parsed JSON; no image is decoded. Prints CPU time, and ratios to webdataset.
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.records import read_records
from deepmark.data.sampling import sample_order
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.web_dataset import web_dataset
from deepmark.data.shards.writer import write_shards
from deepmark.params import IngestParams
from deepmark.vocabulary import DEEPFASHION2


def draw(folder: Path, count: int) -> None:
    """Pictures of noise on blots, about 140 KB each, with two items of 100 polygon points."""
    (folder / "image").mkdir(parents=True)
    (folder / "annos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, count + 1):
        blots = cv2.resize(rng.integers(0, 256, (50, 36, 3), dtype=np.uint8), (750, 1000)).astype(np.int16)
        picture = np.clip(blots + rng.integers(-4, 5, blots.shape), 0, 255).astype(np.uint8)
        (folder / f"image/{number:06d}.jpg").write_bytes(simplejpeg.encode_jpeg(picture, quality=80))
        annotation = {"source": "user", "pair_id": number, "item1": item(rng, 0), "item2": item(rng, 7)}
        (folder / f"annos/{number:06d}.json").write_text(json.dumps(annotation))


def item(rng: np.random.Generator, category: int) -> dict:
    """An item with everything labelled."""
    points = rng.integers(0, (750, 1000), (DEEPFASHION2.categories[category].landmarks, 2))
    return {
        "category_id": category + 1,
        "category_name": DEEPFASHION2.categories[category].name,
        "style": 1,
        "bounding_box": [10, 20, 700, 900],
        "landmarks": np.column_stack([points, np.full(len(points), 2)]).ravel().tolist(),
        "segmentation": rng.integers(0, 750, (2, 100)).tolist(),
        **dict.fromkeys(("scale", "occlusion", "zoom_in", "viewpoint"), 2),
    }


def timed(read: Callable[[], Iterable[object]], count: int, rounds: int) -> float:
    """Microseconds of CPU time a sample, the best of some rounds; the first, which warms up, is not counted."""
    best = float("inf")
    for round_ in range(rounds + 1):
        start = time.process_time()
        assert sum(1 for _ in read()) == count
        if round_:
            best = min(best, time.process_time() - start)
    return 1e6 * best / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    import webdataset

    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name), args.pictures
        draw(folder / "raw/train", count)
        start = time.process_time()
        ingest_split(
            folder / "raw",
            split="train",
            out=folder / "records",
            params=IngestParams(max_rejected_share=0, max_megapixels=50),
            engine=Local(1),
            vocabulary=DEEPFASHION2,
        )
        ingest = time.process_time() - start
        start = time.process_time()
        facts = write_shards(
            folder / "records/train.parquet",
            folder / "raw",
            folder / "shards",
            split="train",
            seed=1,
            target_mib=16,
            engine=Local(1),
        )
        shard = time.process_time() - start
        print(f"ingest          {1e3 * ingest / count:8.2f} ms of CPU a picture")
        print(
            f"write shards    {1e3 * shard / count:8.2f} ms of CPU a picture, {facts['bytes'] / shard / 1e6:.0f} MB/s"
        )

        reader, order = ShardReader(folder / "shards"), sample_order(count, seed=1, epoch=0)
        tars = sorted(map(str, (folder / "shards").glob("*.tar")))
        files = [folder / "raw/train" / record.file for record in read_records(folder / "records/train.parquet")]
        texts = [path.parent.with_name("annos") / f"{path.stem}.json" for path in files]
        ways: dict[str, Callable[[], Iterable[object]]] = {
            "webdataset": lambda: (
                (sample["jpg"], json.loads(sample["json"]))
                for sample in webdataset.WebDataset(tars, shardshuffle=False)
            ),
            "web_dataset, checked": lambda: web_dataset(folder, "shards"),
            "plain files": lambda: ((files[i].read_bytes(), json.loads(texts[i].read_bytes())) for i in order),
            "our reader, checked": lambda: (reader[i] for i in order),
            "our reader, bytes only": lambda: (reader.read_span(i) for i in order),
        }
        times = {way: timed(read, count, args.rounds) for way, read in ways.items()}
        for way, microseconds in times.items():
            ratio = times["webdataset"] / microseconds
            print(
                f"{way:24}{microseconds:8.1f} us a sample{1e6 / microseconds:10,.0f} a second{ratio:8.1f} x webdataset"
            )
        start = time.process_time()
        reader.verify()
        print(f"verify          {facts['bytes'] / (time.process_time() - start) / 1e6:8.0f} MB a second of CPU")


if __name__ == "__main__":
    main()
