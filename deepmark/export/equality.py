"""Whether an exported file finds what torch finds: the differences of boxes, scores and landmarks on the same canvases.

Garments are compared by category and place, never by row: two of almost equal scores may change their order.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepmark.infer.decode import decode
from deepmark.infer.tta import flipped_and_averaged
from deepmark.model.detector import Detector
from deepmark.params import PredictParams
from deepmark.runtime.onnx_detector import OnnxDetector, PlacedImage
from deepmark.shapes import UInt8
from deepmark.types import Detections

BOX_PIXELS, SCORE, LANDMARK_PIXELS = 0.1, 1e-4, 0.1
"""The largest differences of a float32 file."""

LANDMARKS_OFF = 1e-4
"""The share of landmarks that may differ more, and one at least: one in 10,000 lies between two peaks equally near."""

MISSING = 1e-3
"""The share of garments that only one of them may find, and two at least. Where the scores of cells side by side are
equal but for rounding, either is the peak, or none: so it was of 4 in 17,906 of random networks, and of no trained one.
"""

_SAME = 2.0
"""Pixels, half a cell: boxes that differ more are not of the same peak."""


@dataclass(kw_only=True, slots=True)
class Equality:
    """The largest differences of a file from torch, over some images; pixels of the canvas."""

    images: int = 0
    garments: int = 0
    """Of torch."""

    missing: int = 0
    """Garments that only one of them found, except where they are the last of an image by less than `SCORE`."""

    box: float = 0.0
    score: float = 0.0
    landmark: float = 0.0
    landmark_score: float = 0.0
    landmarks: int = 0
    landmarks_off: int = 0
    """Landmarks that differ by more than `LANDMARK_PIXELS`."""

    def holds(self) -> bool:
        """Whether a float32 file is as good as torch."""
        few = self.missing <= max(2, MISSING * self.garments)
        few &= self.landmarks_off <= max(1, LANDMARKS_OFF * self.landmarks)
        return few and self.box <= BOX_PIXELS and self.score <= SCORE

    def as_dict(self) -> dict[str, Any]:
        """Every figure by its name."""
        return asdict(self)

    def add(self, torch_: Detections, file: Detections) -> None:
        """Take in the detections of both in one image."""
        rows, columns = _pairs(torch_, file)
        self.images += 1
        self.garments += len(torch_)
        self.missing += _unexplained(torch_, rows) + _unexplained(file, columns)
        a, b, own = torch_[rows], file[columns], torch_.vocabulary.own_landmarks[torch_.categories[rows]]
        apart = np.abs(a.landmarks - b.landmarks).max(axis=2)[own]
        self.box = max(self.box, _most(a.boxes - b.boxes))
        self.score = max(self.score, _most(a.scores - b.scores))
        self.landmark = max(self.landmark, _most(apart))
        self.landmark_score = max(self.landmark_score, _most(a.landmark_scores - b.landmark_scores))
        self.landmarks += apart.size
        self.landmarks_off += int((apart > LANDMARK_PIXELS).sum())


def equality(
    detector: Detector,
    file: Path,
    batches: Iterable[UInt8[np.ndarray, "_ h w 3"]],
    predict: PredictParams,
    *,
    flip: bool = False,
) -> Equality:
    """Compare an ONNX file with the detector that it was exported from, on batches of canvases and before NMS.

    With `flip` it is the file of that strategy beside `file`.
    """
    found, exported = Equality(), OnnxDetector(file, strategy="flip" if flip else "none", min_score=0.0)
    exported.strategy = "none"  # what the graph gives, before NMS
    for canvases in batches:
        by_file = exported.detect([PlacedImage.of_canvas(canvas) for canvas in canvases])
        for expected, actual in zip(_by_torch(detector, canvases, predict, flip), by_file, strict=True):
            found.add(expected, actual)
    return found


@torch.inference_mode()
def _by_torch(
    detector: Detector, canvases: UInt8[np.ndarray, "b h w 3"], predict: PredictParams, flip: bool
) -> list[Detections]:
    images = detector.normalize(torch.from_numpy(canvases))
    maps = flipped_and_averaged(detector, images) if flip else detector(images)
    return decode(
        maps,
        layout=detector.layout,
        affines=[np.eye(2, 3)] * len(canvases),
        sizes=[canvases.shape[1:3]] * len(canvases),
        max_detections=predict.max_detections,
        landmark_threshold=predict.landmark_threshold,
        landmark_blend=predict.landmark_blend,
    )


def _pairs(a: Detections, b: Detections) -> tuple[np.ndarray, np.ndarray]:
    """The rows of both that are the same garment: of one category, and the nearest boxes of each other."""
    if not len(a) or not len(b):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    apart = np.abs(a.boxes[:, None] - b.boxes[None]).max(axis=2)
    apart[a.categories[:, None] != b.categories[None]] = np.inf
    nearest = apart.argmin(axis=1)
    rows = np.flatnonzero((apart.argmin(axis=0)[nearest] == np.arange(len(a))) & (apart.min(axis=1) <= _SAME))
    return rows, nearest[rows]


def _unexplained(detections: Detections, paired: np.ndarray) -> int:
    """Rows without a partner that are not just the last of the image, where the other one found another peak."""
    alone = np.setdiff1d(np.arange(len(detections)), paired)
    last = detections.scores.min(initial=1.0)
    return int((detections.scores[alone] > last + SCORE).sum())


def _most(differences: np.ndarray) -> float:
    return float(np.abs(differences).max(initial=0.0))
