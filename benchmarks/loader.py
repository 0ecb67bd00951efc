"""How many samples a second the loader makes, beside a plain loader that fills dense maps, in the same run.

    python benchmarks/loader.py [--pictures 40] [--size 512] [--turns 12]

Pictures of 750 x 1000 pixels are drawn first. "plain" is the habit of the field: decode with OpenCV, warp and colour in
float32 on the CPU, and draw 13 + 294 dense heatmaps, of pictures held in memory. "ours" reads shards and checks them.
Both see the same pictures and garments, and end with a batch. They take turns, so that what else the machine does meets
all of them; a figure is the mean of the best quarter of the turns.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from deepmark import geometry
from deepmark.data.augment import make_sample, random_affine
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.loader import load_batches
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.writer import write_shards
from deepmark.params import AugmentParams, IngestParams, load_params
from deepmark.synthetic import draw_dataset
from deepmark.train.targets import collate
from deepmark.types import ImageRecord, Sample
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file

STRIDE = 4
BATCH, BATCHES = 8, 15
"""Of a turn."""


def draw_shards(folder: Path, pictures: int) -> ShardReader:
    """Drawn pictures, enlarged to the size of DeepFashion2's, as shards."""
    draw_dataset(folder, train=pictures, validation=0, seed=1)
    for path in (folder / "train/image").iterdir():
        image = cv2.resize(cv2.imread(str(path)), (750, 1000), interpolation=cv2.INTER_CUBIC)
        path.write_bytes(simplejpeg.encode_jpeg(image, 90, colorspace="BGR"))
    params = IngestParams(max_rejected_share=1, max_megapixels=50)
    ingest_split(folder, split="train", out=folder / "records", params=params, vocabulary=DEEPFASHION2)
    write_shards(folder / "records/train.parquet", folder, folder / "shards", split="train", seed=1, target_mib=64)
    return ShardReader(folder / "shards")


def gaussian(radius: int) -> np.ndarray:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return np.exp(-(x * x + y * y) / (2 * ((2 * radius + 1) / 6) ** 2)).astype(np.float32)


def draw_peak(heatmap: np.ndarray, x: int, y: int, radius: int) -> None:
    height, width = heatmap.shape
    left, right, top, bottom = min(x, radius), min(width - x, radius + 1), min(y, radius), min(height - y, radius + 1)
    part = heatmap[y - top : y + bottom, x - left : x + right]
    np.maximum(part, gaussian(radius)[radius - top : radius + bottom, radius - left : radius + right], out=part)


def plain_sample(
    record: ImageRecord, jpeg: bytes, canvas: tuple[int, int], augment: AugmentParams, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """A sample as most loaders make it: a float picture and dense maps."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    affine, _ = random_affine((record.height, record.width), canvas, augment, rng)
    image = cv2.warpAffine(image, affine, canvas[::-1], flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    for kind in rng.permutation(3):
        alpha = 1 + rng.uniform(-augment.color, augment.color)
        image *= alpha
        if kind == 1:
            image += (1 - alpha) * gray.mean()
        elif kind == 2:
            image += (1 - alpha) * gray[..., None]
    image = ((image - 0.45) / 0.28).transpose(2, 0, 1).astype(np.float32)
    height, width = canvas[0] // STRIDE, canvas[1] // STRIDE
    centers = np.zeros((len(DEEPFASHION2.categories), height, width), np.float32)
    peaks = np.zeros((DEEPFASHION2.landmarks, height, width), np.float32)
    vectors = np.zeros((32, 2 * DEEPFASHION2.landmarks), np.float32)
    for number, garment in enumerate(record.garments):
        box = geometry.apply_to_boxes(affine, garment.box[None])[0] / STRIDE
        x, y = (box[:2] + box[2:]) / 2
        radius = max(1, int(0.1 * (box[2:] - box[:2]).min()))
        if 0 <= x < width and 0 <= y < height:
            draw_peak(centers[garment.category], int(x), int(y), radius)
        start = DEEPFASHION2.categories[garment.category].start
        for i, (px, py) in enumerate(geometry.apply(affine, garment.landmarks[:, :2]) / STRIDE):
            if garment.landmarks[i, 2] and 0 <= px < width and 0 <= py < height:
                draw_peak(peaks[start + i], int(px), int(py), radius)
                vectors[number, 2 * (start + i) : 2 * (start + i) + 2] = px - x, py - y
    return image, centers, peaks, vectors


@dataclass
class Contender:
    """A loader, and what its turns cost in seconds a sample."""

    name: str
    load: Callable[[list[list[int]]], object]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def take_turn(self, number: int) -> None:
        start = number * BATCH * BATCHES
        batches = [list(range(first, first + BATCH)) for first in range(start, start + BATCH * BATCHES, BATCH)]
        wall, cpu = time.perf_counter(), time.process_time()
        self.load(batches)
        self.cpu.append((time.process_time() - cpu) / (BATCH * BATCHES))
        self.wall.append((time.perf_counter() - wall) / (BATCH * BATCHES))


def per_second(turns: list[float]) -> float:
    best = sorted(turns)[: max(1, len(turns) // 4)]
    return len(best) / sum(best)


def load_plainly(make: Callable[[int], tuple[np.ndarray, ...]], batches: list[list[int]]) -> None:
    for batch in batches:
        [np.stack(parts) for parts in zip(*map(make, batch), strict=True)]


def load_ours(make: Callable[[int], Sample], threads: int, batches: list[list[int]]) -> None:
    for samples in load_batches(batches, make, threads=threads):
        collate(samples)


def contenders(reader: ShardReader, canvas: tuple[int, int], augment: AugmentParams) -> list[Contender]:
    held = [reader[index] for index in range(len(reader))]

    def ours(index: int) -> Sample:
        record, jpeg = reader[index % len(reader)]
        return make_sample(
            record, jpeg, canvas=canvas, augment=augment, rng=np.random.default_rng([1, index]), vocabulary=DEEPFASHION2
        )

    def plain(index: int) -> tuple[np.ndarray, ...]:
        record, jpeg = held[index % len(held)]
        return plain_sample(record, jpeg, canvas, augment, np.random.default_rng([1, index]))

    sample = ours(0)
    targets = sample.boxes.nbytes + sample.categories.nbytes + sample.landmarks.nbytes
    print(
        f"{len(held)} pictures of 750 x 1000, {np.mean([len(jpeg) for _, jpeg in held]) / 1000:.0f} KB each; a sample "
        f"is {sample.image.nbytes / 1e6:.2f} MB of pixels and {targets / 1000:.1f} KB of targets"
    )
    return [
        Contender("plain, dense maps", partial(load_plainly, plain)),
        *(Contender(f"ours, {threads} threads", partial(load_ours, ours, threads)) for threads in (0, 1, 2, 4)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--size", type=int, default=512, help="side of the network's input, pixels")
    parser.add_argument("--turns", type=int, default=12, help=f"of each loader, {BATCH * BATCHES} samples long")
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        reader = draw_shards(Path(folder), arguments.pictures)
        augment = load_params(profile_file("paper")).augment
        loaders = contenders(reader, (arguments.size, arguments.size), augment)
        for turn in range(-1, arguments.turns):
            for loader in loaders:
                loader.take_turn(max(0, turn))
    for loader in loaders:
        wall, cpu = (per_second(turns[1:]) for turns in (loader.wall, loader.cpu))  # the first turn warms up
        ratio = cpu / per_second(loaders[0].cpu[1:])
        print(f"{loader.name:20} {wall:7.1f} samples/s   {cpu:7.1f} a second of CPU   {ratio:5.1f} x")


if __name__ == "__main__":
    main()
