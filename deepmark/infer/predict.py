"""RGB images to detections, by one of the paper's four inference strategies.

Each image is laid on one canvas per scale of the strategy, the network sees the canvases of a batch together, and the
detections come back in pixels of the original image.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from deepmark.data.jpeg import decode_and_warp, warp, warp_opened
from deepmark.data.loader import default_threads, load_batches
from deepmark.errors import DeepmarkError
from deepmark.images import OpenedImage
from deepmark.infer.batches import map_at_once
from deepmark.infer.decode import decode
from deepmark.infer.tta import flipped_and_averaged, letterbox_at_scale
from deepmark.model.autocast import autocast_dtype
from deepmark.model.detector import Detector
from deepmark.model.heads import HeadMaps
from deepmark.params import PredictParams
from deepmark.runtime.image_detector import check_strategy
from deepmark.runtime.nms import select
from deepmark.schema import STRATEGIES
from deepmark.shapes import Float, UInt8
from deepmark.types import Detections, ImageRecord, Prediction

PROFILE_PREDICT_PARAMS = PredictParams(
    batch_size=8,
    precision="fp32",
    max_detections=100,
    landmark_threshold=0.1,
    nms="hard",
    nms_iou=0.5,
    soft_nms_sigma=0.5,
    min_score=0.0,
    scales=(1.0, 0.75),
)
"""The section `predict` of the profiles, without rescoring and blending, which some have on; for files without one."""


def best_device() -> torch.device:
    """The first GPU, or the CPU where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(kw_only=True, slots=True)
class Timing:
    """Where the time went, in milliseconds: sums over `images`."""

    images: int = 0
    read_ms: float = 0.0
    """From JPEG bytes, or pixels, to the canvases; threads overlap it with the rest."""

    network_ms: float = 0.0
    """From canvases to maps, mirror images included."""

    decode_ms: float = 0.0
    """From maps to detections, NMS included."""

    def __add__(self, other: "Timing") -> "Timing":
        return Timing(
            images=self.images + other.images,
            read_ms=self.read_ms + other.read_ms,
            network_ms=self.network_ms + other.network_ms,
            decode_ms=self.decode_ms + other.decode_ms,
        )

    def shared(self, at_once: int) -> "Timing":
        """What the network and the decoding took of the machine, where so many batches were at it at the same time."""
        return replace(self, network_ms=self.network_ms / at_once, decode_ms=self.decode_ms / at_once)

    def per_image(self) -> dict[str, float]:
        """Mean milliseconds: read, network, decode."""
        count = max(1, self.images)
        return {"read": self.read_ms / count, "network": self.network_ms / count, "decode": self.decode_ms / count}


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedImage:
    """One image, ready for the network."""

    size: tuple[int, int]
    """Height and width of the original."""

    affines: list[Float[np.ndarray, "2 3"]]
    """From the original to each canvas."""

    canvases: list[UInt8[np.ndarray, "_ _ 3"]]
    """RGB, one for each scale."""

    read_ms: float


class Predictor:
    """A trained network with an inference strategy: call it with RGB images of any sizes to get their detections."""

    def __init__(
        self, detector: Detector, strategy: str, params: PredictParams, device: torch.device | str = "cpu"
    ) -> None:
        """`strategy` is one of schema.STRATEGIES, each including the one before: none, nms, flip, multiscale.

        Raises DeepmarkError for another strategy, and for what is no detector or not its parameters.
        """
        if not isinstance(detector, Detector) or not isinstance(params, PredictParams):
            raise DeepmarkError(
                "Predictor: expected a network of `load_network(path)` and the section predict, such as "
                f"`Workspace(folder).params.predict`; found {type(detector).__name__} and {type(params).__name__}."
            )
        check_strategy(strategy)
        level = STRATEGIES.index(strategy)
        self.device = torch.device(device)
        self.detector = detector.to(self.device).eval()
        self.vocabulary = detector.vocabulary
        self.params = params
        self.input_size = detector.params.input_size
        self.nms = level >= STRATEGIES.index("nms")
        self.flip = level >= STRATEGIES.index("flip")
        self.scales = params.scales if level >= STRATEGIES.index("multiscale") else (1.0,)
        self.timing = Timing()
        """Of everything that this predictor has done so far."""

        self._lock = threading.Lock()

    def __call__(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> list[Detections]:
        """The detections of each image, best first. All images make one batch, however many there are."""
        return self.detect([self.prepare(image) for image in images])

    def prepare(self, image: UInt8[np.ndarray, "h w 3"]) -> PreparedImage:
        """An RGB image on the canvases of the strategy."""
        return self._prepare(image.shape[:2], partial(warp, image))

    def prepare_opened(self, image: OpenedImage) -> PreparedImage:
        """An image of any kind, upright, on the canvases of the strategy.

        Raises DeepmarkError where it is a JPEG that is cut off or damaged.
        """
        return self._prepare(image.size, partial(warp_opened, image))

    def prepare_jpeg(self, jpeg: bytes, size: tuple[int, int]) -> PreparedImage:
        """A JPEG, as it is stored, of `size` (height, width) on the canvases of the strategy."""
        return self._prepare(size, partial(decode_and_warp, jpeg))

    def _prepare(
        self, size: tuple[int, int], warp_to: Callable[[np.ndarray, tuple[int, int]], np.ndarray]
    ) -> PreparedImage:
        start = time.perf_counter()
        size_divisor = self.detector.params.size_divisor
        letterboxes = [
            letterbox_at_scale(size, self.input_size, scale, size_divisor=size_divisor) for scale in self.scales
        ]
        canvases = [warp_to(each.affine, each.canvas) for each in letterboxes]
        read_ms = 1e3 * (time.perf_counter() - start)
        return PreparedImage(
            size=size, affines=[each.affine for each in letterboxes], canvases=canvases, read_ms=read_ms
        )

    @torch.inference_mode()
    def detect(self, images: Sequence[PreparedImage]) -> list[Detections]:
        """The detections of each prepared image, best first."""
        if not images:
            return []
        by_scale, spent = [], Timing(images=len(images), read_ms=sum(image.read_ms for image in images))
        for number in range(len(self.scales)):
            start = self._now()
            maps = self._maps(np.stack([image.canvases[number] for image in images]))
            middle = self._now()
            affines, sizes = [image.affines[number] for image in images], [image.size for image in images]
            by_scale.append(self._decode(maps, affines, sizes))
            spent.network_ms += middle - start
            spent.decode_ms += self._now() - middle
        start = self._now()
        merged = [self._merge(parts) for parts in zip(*by_scale, strict=True)]
        spent.decode_ms += self._now() - start
        with self._lock:
            self.timing += spent
        return merged

    def _maps(self, canvases: UInt8[np.ndarray, "b h w 3"]) -> HeadMaps:
        images = self.detector.normalize(torch.from_numpy(canvases).to(self.device))
        with self._autocast():
            return flipped_and_averaged(self.detector, images) if self.flip else self.detector(images)

    def _autocast(self) -> AbstractContextManager:
        dtype = autocast_dtype(self.params.precision, self.device)
        return torch.autocast(self.device.type, dtype) if dtype else nullcontext()

    def _decode(
        self, maps: HeadMaps, affines: list[Float[np.ndarray, "2 3"]], sizes: list[tuple[int, int]]
    ) -> list[Detections]:
        return decode(
            maps,
            layout=self.detector.layout,
            affines=affines,
            sizes=sizes,
            max_detections=self.params.max_detections,
            landmark_threshold=self.params.landmark_threshold,
            landmark_blend=self.params.landmark_blend,
        )

    def _merge(self, parts: Sequence[Detections]) -> Detections:
        """The detections of all scales of one image, after the strategy's NMS."""
        return select(
            Detections.concatenate(parts),
            nms=self.params.nms if self.nms else None,
            iou=self.params.nms_iou,
            sigma=self.params.soft_nms_sigma,
            min_score=self.params.min_score,
            most=self.params.max_detections,
            rescore=self.params.rescore,
        )

    def _now(self) -> float:
        """Milliseconds on a clock, read after the device has finished its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return 1e3 * time.perf_counter()


@runtime_checkable
class ShardPredictor(Protocol):
    """The part of a Predictor that `predict_shards` needs."""

    def prepare_jpeg(self, jpeg: bytes, size: tuple[int, int]) -> PreparedImage: ...

    def detect(self, images: Sequence[PreparedImage]) -> list[Detections]: ...


@runtime_checkable
class Reader(Protocol):
    """The part of ShardReader that prediction needs: records with their JPEG bytes, by position."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int) -> tuple[ImageRecord, bytes]: ...


def predict_shards(
    reader: Reader,
    predictor: ShardPredictor,
    *,
    batch_size: int,
    positions: range | None = None,
    at_once: int = 1,
    progress: Callable[[int], None] = lambda count: None,
) -> Iterator[Prediction]:
    """The detections of every image of the shards, or of those at `positions`, in order; threads read images ahead.

    `at_once` is how many batches the network sees at the same time, and `progress` is called after each batch with the
    number of its images.
    """

    def read(position: int) -> tuple[int, str, PreparedImage]:
        start = time.perf_counter()
        record, jpeg = reader[position]
        prepared = predictor.prepare_jpeg(jpeg, (record.height, record.width))
        return record.id, record.file, replace(prepared, read_ms=1e3 * (time.perf_counter() - start))

    images = range(len(reader)) if positions is None else positions
    work = {"batch_size": batch_size, "at_once": at_once}
    return predict_positions(images, read, predictor.detect, **work, progress=progress)


def predict_positions(
    positions: range,
    read: Callable[[int], tuple[int, str, PreparedImage] | None],
    detect: Callable[[Sequence[PreparedImage]], list[Detections]],
    *,
    batch_size: int,
    at_once: int,
    progress: Callable[[int], None],
) -> Iterator[Prediction]:
    """The predictions of the images at these positions, each of which `read` gives as its id, name and canvases.

    Those for which `read` gives None are left out.
    """
    batches = (positions[start : start + batch_size] for start in range(0, len(positions), batch_size))

    def detected(batch: list[tuple[int, str, PreparedImage] | None]) -> list[Prediction]:
        images = [image for image in batch if image is not None]
        results = detect([prepared for *_, prepared in images])
        return [Prediction(image_id, file, found) for (image_id, file, _), found in zip(images, results, strict=True)]

    for batch, predictions in map_at_once(detected, load_batches(batches, read, threads=default_threads()), at_once):
        yield from predictions
        progress(len(batch))
