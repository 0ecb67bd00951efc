"""An exported file with the calls of a `Predictor`, so that the shards are predicted alike by both."""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deepmark import geometry
from deepmark.data.jpeg import decode_and_warp
from deepmark.images import OpenedImage
from deepmark.infer.predict import PreparedImage, Timing
from deepmark.params import PredictParams
from deepmark.runtime.onnx_detector import OnnxDetector, PlacedImage
from deepmark.types import Detections

_RUNS = 5
"""Measurements of the time."""


class ExportedPredictor:
    """An ONNX file of `deepmark export` that predicts images of shards."""

    def __init__(self, file: Path, strategy: str, params: PredictParams) -> None:
        """The file's contract says how it detects; of `params` only `min_score` counts.

        Raises DeepmarkError where the file is missing, damaged or none of DeepMark's, or lacks the strategy.
        """
        self._detector = OnnxDetector(file, strategy=strategy, min_score=params.min_score)
        self.device = self._detector.device
        self.contract = self._detector.contract
        self.vocabulary = self._detector.vocabulary
        self.timing = Timing()

    def prepare_jpeg(self, jpeg: bytes, size: tuple[int, int]) -> PreparedImage:
        """A JPEG, as it is stored, of `size` (height, width) on the canvas of the network."""
        start = time.perf_counter()
        affine = geometry.letterbox(size, self.contract.input_size)
        canvas = decode_and_warp(jpeg, affine, self.contract.input_size)
        read_ms = 1e3 * (time.perf_counter() - start)
        return PreparedImage(size=size, affines=[affine], canvases=[canvas], read_ms=read_ms)

    def prepare_opened(self, image: OpenedImage) -> PreparedImage:
        """An image of any kind, upright, on the canvas of the network.

        Raises DeepmarkError where it is a JPEG that is cut off or damaged.
        """
        start = time.perf_counter()
        placed = self._detector.prepare(image)
        read_ms = 1e3 * (time.perf_counter() - start)
        return PreparedImage(size=placed.size, affines=[placed.affine], canvases=[placed.canvas], read_ms=read_ms)

    def detect(self, images: Sequence[PreparedImage]) -> list[Detections]:
        """The detections of each prepared image, best first. Decoding is part of the graph, and of `network_ms`."""
        start = time.perf_counter()
        found = self._detector.detect(
            [PlacedImage(size=one.size, affine=one.affines[0], canvas=one.canvases[0]) for one in images]
        )
        self.timing.network_ms += 1e3 * (time.perf_counter() - start)
        self.timing.read_ms += sum(image.read_ms for image in images)
        self.timing.images += len(images)
        return found


def measured_milliseconds(file: Path) -> float:
    """The median time of a few passes of an exported file over one canvas, after one that is not counted.

    Unlike the time of a checkpoint's network, it has the decoding in it.
    """
    detector = OnnxDetector(file, strategy="none")
    canvas = PlacedImage.of_canvas(np.zeros((*detector.contract.input_size, 3), np.uint8))

    def seconds() -> float:
        start = time.perf_counter()
        detector.detect([canvas])
        return time.perf_counter() - start

    seconds()
    return 1e3 * statistics.median(seconds() for _ in range(_RUNS))
