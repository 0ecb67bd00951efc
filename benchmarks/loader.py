"""How many samples a second the loader makes, beside a plain loader that fills dense maps, in the same run.

    python benchmarks/loader.py [--pictures 40] [--size 512] [--seconds 10]

Pictures of 750 x 1000 pixels are drawn first. "plain" is the habit of the field: decode with OpenCV, warp and colour in
float32 on the CPU, and draw 13 + 294 dense heatmaps. Both see the same pictures, views and garments.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from deepmark import geometry
from deepmark.data.augment import make_sample, random_view
from deepmark.data.loader import load_batches
from deepmark.data.synthetic import draw_dataset
from deepmark.params import AugmentParams, IngestParams, load_params
from deepmark.schema import CATEGORIES, LANDMARKS
from deepmark.train.targets import collate
from deepmark.types import ImageRecord, Sample
from deepmark.workspace import profile_file

STRIDE = 4
BATCH = 8


def draw_records(folder: Path, pictures: int) -> list[tuple[ImageRecord, bytes]]:
    """Drawn pictures with their records, enlarged to the size of DeepFashion2's."""
    from deepmark.data.ingest import ingest_split
    from deepmark.data.records import read_records

    draw_dataset(folder, train=pictures, validation=0, seed=1)
    for path in (folder / "train/image").iterdir():
        image = cv2.resize(cv2.imread(str(path)), (750, 1000), interpolation=cv2.INTER_CUBIC)
        path.write_bytes(simplejpeg.encode_jpeg(image, 90, colorspace="BGR"))
    ingest_split(
        folder, split="train", out=folder / "records", params=IngestParams(max_rejected_share=1, max_megapixels=50)
    )
    records = read_records(folder / "records/train.parquet")
    return [(record, (folder / "train" / record.file).read_bytes()) for record in records]


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
    view, _ = random_view((record.height, record.width), canvas, augment, rng)
    image = cv2.warpAffine(image, view, canvas[::-1], flags=cv2.INTER_LINEAR).astype(np.float32) / 255
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
    centers = np.zeros((len(CATEGORIES), height, width), np.float32)
    peaks = np.zeros((LANDMARKS, height, width), np.float32)
    vectors = np.zeros((32, 2 * LANDMARKS), np.float32)
    for number, garment in enumerate(record.garments):
        box = geometry.apply_to_boxes(view, garment.box[None])[0] / STRIDE
        x, y = (box[:2] + box[2:]) / 2
        radius = max(1, int(0.1 * (box[2:] - box[:2]).min()))
        if 0 <= x < width and 0 <= y < height:
            draw_peak(centers[garment.category], int(x), int(y), radius)
        start = CATEGORIES[garment.category].start
        for i, (px, py) in enumerate(geometry.apply(view, garment.landmarks[:, :2]) / STRIDE):
            if garment.landmarks[i, 2] and 0 <= px < width and 0 <= py < height:
                draw_peak(peaks[start + i], int(px), int(py), radius)
                vectors[number, 2 * (start + i) : 2 * (start + i) + 2] = px - x, py - y
    return image, centers, peaks, vectors


def per_second(batches: Iterator[object], seconds: float) -> tuple[float, float]:
    """Samples a second of wall time, and of CPU time, batched as training wants them."""
    next(batches)
    wall, cpu = time.perf_counter(), time.process_time()
    for done in count(1):
        next(batches)
        if time.perf_counter() - wall >= seconds:
            return BATCH * done / (time.perf_counter() - wall), BATCH * done / (time.process_time() - cpu)
    raise AssertionError


def positions() -> Iterator[list[int]]:
    return (list(range(BATCH * batch, BATCH * (batch + 1))) for batch in count())


def plain_batches(make: Callable[[int], tuple[np.ndarray, ...]]) -> Iterator[object]:
    for batch in positions():
        yield [np.stack(parts) for parts in zip(*map(make, batch), strict=True)]


def our_batches(make: Callable[[int], Sample], threads: int) -> Iterator[object]:
    return map(collate, load_batches(positions(), make, threads=threads))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--size", type=int, default=512, help="side of the network's input, pixels")
    parser.add_argument("--seconds", type=float, default=10, help="for each figure")
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    augment, canvas = load_params(profile_file("paper")).augment, (arguments.size, arguments.size)
    with tempfile.TemporaryDirectory() as folder:
        records = draw_records(Path(folder), arguments.pictures)
    mean = sum(len(jpeg) for _, jpeg in records) / len(records)
    print(
        f"{len(records)} pictures of 750 x 1000, {mean / 1000:.0f} KB each; input {arguments.size} x {arguments.size}"
    )

    def ours(index: int) -> Sample:
        record, jpeg = records[index % len(records)]
        return make_sample(record, jpeg, canvas=canvas, augment=augment, rng=np.random.default_rng([1, index]))

    def plain(index: int) -> tuple[np.ndarray, ...]:
        record, jpeg = records[index % len(records)]
        return plain_sample(record, jpeg, canvas, augment, np.random.default_rng([1, index]))

    base = None
    for name, batches in (
        ("plain, dense maps", plain_batches(plain)),
        ("ours, 1 thread", our_batches(ours, 1)),
        ("ours, 2 threads", our_batches(ours, 2)),
    ):
        wall, cpu = per_second(batches, arguments.seconds)
        base = base or cpu
        print(f"{name:20} {wall:7.1f} samples/s   {cpu:7.1f} a second of CPU   {cpu / base:5.1f} x")
    sample = ours(0)
    targets = sample.boxes.nbytes + sample.categories.nbytes + sample.landmarks.nbytes
    print(f"a sample is {sample.image.nbytes / 2**20:.2f} MiB of pixels and {targets / 1024:.1f} KiB of targets")


if __name__ == "__main__":
    main()
