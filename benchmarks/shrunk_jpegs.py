"""How far detections in a large JPEG, decoded at a part of its pixels, lie from those in all of its pixels.

    python benchmarks/shrunk_jpegs.py MODEL.onnx FOLDER

enlarges the first 20 images of a folder four times, with noise, because drawn images are small. Differences are pixels
of the canvas that the network sees.
"""

import sys
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from deepmark import Detections, OnnxDetector
from deepmark.images import read_image

IMAGES, TIMES, NOISE = 20, 4, 4.0
NEAR = 1.0
"""Pixels of the canvas; detections farther apart are two garments."""


def enlarged(file: Path, rng: np.random.Generator) -> bytes:
    """The image as a large JPEG."""
    image = Image.fromarray(read_image(file))
    large = image.resize((image.width * TIMES, image.height * TIMES), Image.Resampling.LANCZOS)
    noisy = np.asarray(large) + rng.normal(0, NOISE, (large.height, large.width, 3))
    return simplejpeg.encode_jpeg(np.clip(noisy, 0, 255).astype(np.uint8), 90)


def differences(shrunk: Detections, full: Detections, pixels: float) -> tuple[list[float], list[float], int]:
    """Of boxes and scores of the same garments, and how many were found in one of the two only."""
    boxes, scores = [], []
    for box, score, category in zip(shrunk.boxes, shrunk.scores, shrunk.categories, strict=True):
        apart = np.abs(full.boxes - box).max(axis=1, initial=0) / pixels
        apart[full.categories != category] = np.inf
        if len(apart) and apart.min() < NEAR:
            boxes.append(float(apart.min()))
            scores.append(abs(float(full.scores[apart.argmin()] - score)))
    return boxes, scores, len(shrunk) + len(full) - 2 * len(boxes)


def main() -> None:
    detector, rng = OnnxDetector(sys.argv[1]), np.random.default_rng(0)
    boxes, scores, alone = [], [], 0
    for file in sorted(Path(sys.argv[2]).glob("*.jpg"))[:IMAGES]:
        jpeg = enlarged(file, rng)
        pixels = read_image(jpeg)
        ratios = [have / see for have, see in zip(pixels.shape[:2], detector.contract.input_size, strict=True)]
        more = differences(detector(jpeg), detector(pixels), max(ratios))
        boxes, scores, alone = boxes + more[0], scores + more[1], alone + more[2]
    print(f"{len(boxes)} garments in both, {alone} in one only")
    for name, values in (("boxes, pixels of the canvas", boxes), ("scores", scores)):
        print(f"{name}: median {np.median(values):.3f}, largest {max(values):.3f}")


if __name__ == "__main__":
    main()
