"""Pictures in, garments out, by one of the paper's four strategies.

A picture is laid on a canvas for every scale of the strategy, the network sees the canvases of a batch together, and
what is found comes back in pixels of the original picture.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8

from deepmark.data.images import look_at, warp
from deepmark.data.loader import default_threads, load_batches
from deepmark.data.predictions import Prediction
from deepmark.infer.decode import decode
from deepmark.infer.nms import hard_nms, join, select, soft_nms
from deepmark.infer.tta import flipped_and_averaged, look_at_scale
from deepmark.model.autocast import autocast_dtype
from deepmark.model.detector import Detector
from deepmark.model.heads import HeadMaps
from deepmark.params import PredictParams
from deepmark.schema import STRATEGIES
from deepmark.types import Detections, ImageRecord


def best_device() -> torch.device:
    """The first GPU, or the CPU where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(kw_only=True, slots=True)
class Timing:
    """Where the time went: sums over `pictures`, milliseconds."""

    pictures: int = 0
    read_ms: float = 0.0
    """From JPEG bytes, or pixels, to the canvases; threads overlap it with the rest."""

    network_ms: float = 0.0
    """From canvases to maps, mirror images included."""

    decode_ms: float = 0.0
    """From maps to detections, NMS included."""

    def add(self, other: "Timing") -> None:
        self.pictures += other.pictures
        self.read_ms += other.read_ms
        self.network_ms += other.network_ms
        self.decode_ms += other.decode_ms

    def per_picture(self) -> dict[str, float]:
        """Milliseconds a picture: read, network, decode."""
        count = max(1, self.pictures)
        return {"read": self.read_ms / count, "network": self.network_ms / count, "decode": self.decode_ms / count}


@dataclass(frozen=True, kw_only=True, slots=True)
class Framed:
    """One picture, ready for the network."""

    size: tuple[int, int]
    """Height and width of the original."""

    views: list[Float[np.ndarray, "2 3"]]
    """From the original to each canvas."""

    canvases: list[UInt8[np.ndarray, "h w 3"]]
    """RGB, one for each scale."""

    read_ms: float


class Predictor:
    """A trained network with a strategy: call it with RGB pictures of any sizes, and it says what they show."""

    def __init__(
        self, detector: Detector, strategy: str, params: PredictParams, device: torch.device | str = "cpu"
    ) -> None:
        """`strategy` is one of schema.STRATEGIES, each including the one before: none, nms, flip, multiscale."""
        level = STRATEGIES.index(strategy)
        self.device = torch.device(device)
        self.detector = detector.to(self.device).eval()
        self.params = params
        self.input_size = detector.params.input_size
        self.nms = level >= STRATEGIES.index("nms")
        self.flip = level >= STRATEGIES.index("flip")
        self.scales = params.scales if level >= STRATEGIES.index("multiscale") else (1.0,)

    def __call__(self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> tuple[list[Detections], Timing]:
        """The garments of each picture, best first, and where the time went; one batch, whatever its length."""
        return self.detect([self.frame(picture) for picture in pictures])

    def frame(self, picture: UInt8[np.ndarray, "h w 3"]) -> Framed:
        """An RGB picture on the canvases of the strategy."""
        return self._frame(picture.shape[:2], partial(warp, picture))

    def frame_jpeg(self, jpeg: bytes, size: tuple[int, int]) -> Framed:
        """The JPEG of a picture of `size` (height, width) on the canvases of the strategy."""
        return self._frame(size, partial(look_at, jpeg))

    def _frame(self, size: tuple[int, int], see: Callable[[np.ndarray, tuple[int, int]], np.ndarray]) -> Framed:
        start = time.perf_counter()
        sides_of = self.detector.params.sides_of
        looks = [look_at_scale(size, self.input_size, scale, sides_of=sides_of) for scale in self.scales]
        canvases = [see(look.view, look.canvas) for look in looks]
        read_ms = 1e3 * (time.perf_counter() - start)
        return Framed(size=size, views=[look.view for look in looks], canvases=canvases, read_ms=read_ms)

    @torch.inference_mode()
    def detect(self, framed: Sequence[Framed]) -> tuple[list[Detections], Timing]:
        """The garments of each framed picture, and where the time went."""
        timing = Timing(pictures=len(framed), read_ms=sum((each.read_ms for each in framed), 0.0))
        if not framed:
            return [], timing
        found = []
        for number in range(len(self.scales)):
            start = self._now()
            maps = self._maps(np.stack([each.canvases[number] for each in framed]))
            middle = self._now()
            found.append(self._decode(maps, [each.views[number] for each in framed], [each.size for each in framed]))
            timing.network_ms += middle - start
            timing.decode_ms += self._now() - middle
        start = self._now()
        merged = [self._merge(looks) for looks in zip(*found, strict=True)]
        timing.decode_ms += self._now() - start
        return merged, timing

    def _maps(self, canvases: UInt8[np.ndarray, "b h w 3"]) -> HeadMaps:
        images = self.detector.normalize(torch.from_numpy(canvases).to(self.device))
        with self._autocast():
            return flipped_and_averaged(self.detector, images) if self.flip else self.detector(images)

    def _autocast(self) -> AbstractContextManager:
        dtype = autocast_dtype(self.params.precision, self.device)
        return torch.autocast(self.device.type, dtype) if dtype else nullcontext()

    def _decode(
        self, maps: HeadMaps, views: list[Float[np.ndarray, "2 3"]], sizes: list[tuple[int, int]]
    ) -> list[Detections]:
        return decode(
            maps,
            views=views,
            sizes=sizes,
            max_detections=self.params.max_detections,
            landmark_threshold=self.params.landmark_threshold,
        )

    def _merge(self, looks: Sequence[Detections]) -> Detections:
        detections = join(looks)
        if self.nms and self.params.nms == "hard":
            detections = hard_nms(detections, iou=self.params.nms_iou)
        elif self.nms:
            detections = soft_nms(detections, sigma=self.params.soft_nms_sigma)
        good_enough = np.flatnonzero(detections.scores >= self.params.min_score)
        return select(detections, good_enough[: self.params.max_detections])

    def _now(self) -> float:
        """Milliseconds, after the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return 1e3 * time.perf_counter()


@runtime_checkable
class Reader(Protocol):
    """What the shards' reader offers: records with their JPEG bytes, by position."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int) -> tuple[ImageRecord, bytes]: ...


def predict_shards(
    reader: Reader,
    predictor: Predictor,
    *,
    batch_size: int,
    progress: Callable[[int], None] = lambda count: None,
    timing: Timing | None = None,
) -> Iterator[Prediction]:
    """What every picture of the shards shows, in their order, pictures read ahead on threads.

    `progress` hears how many more pictures are done, and `timing`, if given, grows with every batch.
    """

    def read(position: int) -> tuple[ImageRecord, Framed, float]:
        start = time.perf_counter()
        record, jpeg = reader[position]
        framed = predictor.frame_jpeg(jpeg, (record.height, record.width))
        return record, framed, 1e3 * (time.perf_counter() - start)

    batches = (range(start, min(start + batch_size, len(reader))) for start in range(0, len(reader), batch_size))
    for batch in load_batches(batches, read, threads=default_threads()):
        found, spent = predictor.detect([framed for _, framed, _ in batch])
        spent.read_ms = sum(read_ms for _, _, read_ms in batch)
        if timing is not None:
            timing.add(spent)
        for (record, _, _), detections in zip(batch, found, strict=True):
            yield Prediction(record.id, record.file, detections)
        progress(len(batch))
