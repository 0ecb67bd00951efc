"""An exported model, run by onnxruntime: it needs neither PyTorch nor OpenCV, and loads in a fraction of a second."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from deepmark import geometry
from deepmark.digests import check_digest
from deepmark.errors import DeepmarkError, as_path, missing_model
from deepmark.images import OpenedImage
from deepmark.images.file_kinds import kind_of
from deepmark.runtime.canvas import letterboxed
from deepmark.runtime.contract import Contract, flip_file
from deepmark.runtime.image_detector import ImageDetector, check_min_score, check_strategy, least_score
from deepmark.runtime.nms import select
from deepmark.shapes import Float, UInt8
from deepmark.types import Detections
from deepmark.vocabulary import Vocabulary

_REMEDY = "Copy it again, or run `deepmark export` again."
"""For a damaged file."""

_BATCH = 8
"""Images of a list that the network sees at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedImage:
    """An image on the canvas that the network sees."""

    size: tuple[int, int]
    """Height and width of the original."""

    affine: Float[np.ndarray, "2 3"]
    """From the original to the canvas."""

    canvas: UInt8[np.ndarray, "h w 3"]

    @classmethod
    def of_canvas(cls, canvas: UInt8[np.ndarray, "h w 3"]) -> "PlacedImage":
        """A canvas that is the image itself."""
        return cls(size=canvas.shape[:2], affine=np.eye(2, 3), canvas=canvas)


class OnnxDetector(ImageDetector):
    """The detector in a file that `deepmark export` wrote."""

    same_in_batches = True

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        device: Any = None,
        strategy: str = "nms",
        min_score: float | None = None,
        batch_size: int = _BATCH,
    ) -> None:
        """`device` is "cpu", or "cuda" or "cuda:1" where onnxruntime-gpu is installed; None is the CPU.

        `strategy` is "none" or "nms", or "flip" where there is a second file for it, named model_flip.onnx beside
        model.onnx. Detections below `min_score` are left out: 0.3, or the contract's if that is higher.

        Raises DeepmarkError where the file is missing, damaged, or none of DeepMark's, where its contract does not fit,
        and for options that cannot be.
        """
        path = as_path(path, "OnnxDetector: path")
        check_strategy(strategy)
        check_min_score(min_score)
        self.device = "cpu" if device is None else str(device)
        file = _file_for(path, strategy)
        if path.is_file() and not file.exists():
            raise DeepmarkError(
                f"{path.name}: serves the strategy flip only where {file.name} lies beside it, which `deepmark export` "
                "writes with export.flip: true. Choose none or nms, or use the checkpoint."
            )
        self._session, self.contract = _open(file, self.device)
        _check_serves(path, self.contract, strategy)
        least = least_score(min_score, self.contract.predict.min_score)
        super().__init__(
            path, strategy=strategy, min_score=least, batch_size=batch_size, vocabulary=self.contract.vocabulary
        )

    def __repr__(self) -> str:
        height, width = self.contract.input_size
        return (
            f"OnnxDetector({str(self.path)!r}, precision={self.contract.precision!r}, input_size={height}x{width}, "
            f"strategy={str(self.strategy)!r}, min_score={self.min_score:g}, device={self.device!r})"
        )

    def with_options(self, *, strategy: str | None = None, min_score: float | None = None) -> "OnnxDetector":
        """The same network with another strategy, another least score, or both; only another file is opened.

        Raises DeepmarkError for options that cannot be.
        """
        check_min_score(min_score)
        strategy = self.strategy if strategy is None else strategy
        least = self.min_score if min_score is None else min_score
        if _file_for(self.path, strategy) != _file_for(self.path, self.strategy):
            return OnnxDetector(
                self.path, device=self.device, strategy=strategy, min_score=least, batch_size=self.batch_size
            )
        check_strategy(strategy)
        _check_serves(self.path, self.contract, strategy)
        other = object.__new__(OnnxDetector)
        other.__dict__ |= self.__dict__ | {"strategy": strategy, "min_score": least}
        return other

    def prepare(self, image: OpenedImage) -> PlacedImage:
        """An image on the network's canvas; threads may do it ahead.

        Raises DeepmarkError where it is a JPEG that is cut off or damaged.
        """
        affine = geometry.letterbox(image.size, self.contract.input_size)
        canvas = letterboxed(image, affine, self.contract.input_size)
        return PlacedImage(size=image.size, affine=affine, canvas=canvas)

    def detect(self, images: Sequence[PlacedImage]) -> list[Detections]:
        """The detections of each image, best first. All images make one batch, however many there are."""
        if not images:
            return []
        canvases = np.stack([image.canvas for image in images])
        names = [one.name for one in self.contract.outputs]
        outputs = self._session.run(names, {self.contract.inputs[0].name: canvases})
        return [
            self._select(_to_detections(dict(zip(names, rows, strict=True)), image, self.vocabulary))
            for image, *rows in zip(images, *outputs, strict=True)
        ]

    def _select(self, detections: Detections) -> Detections:
        predict = self.contract.predict
        return select(
            detections,
            nms=None if self.strategy == "none" else predict.nms,
            iou=predict.nms_iou,
            sigma=predict.soft_nms_sigma,
            min_score=self.min_score,
            most=predict.max_detections,
            rescore=predict.rescore,
        )


def _to_detections(outputs: dict[str, np.ndarray], image: PlacedImage, vocabulary: Vocabulary) -> Detections:
    """The garments in an image, in pixels of the original."""
    found = outputs["scores"] > 0
    scores, categories = outputs["scores"][found], outputs["categories"][found].astype(np.int64)
    back = geometry.inverse(image.affine)
    boxes = geometry.apply_to_boxes(back, outputs["boxes"][found].astype(np.float64))
    own = vocabulary.own_landmarks[categories]
    landmarks = geometry.apply(back, outputs["landmarks"][found].astype(np.float64)) * own[..., None]
    return Detections(
        boxes=geometry.clip_boxes(boxes, image.size).astype(np.float32),
        scores=scores,
        categories=categories,
        landmarks=landmarks.astype(np.float32),
        landmark_scores=outputs["landmark_scores"][found],
        vocabulary=vocabulary,
    )


def _file_for(path: Path, strategy: str) -> Path:
    """The file whose graph serves the strategy: that of the mirror image lies beside the other."""
    return path.with_name(flip_file(path.name)) if strategy == "flip" else path


def _check_serves(path: Path, contract: Contract, strategy: str) -> None:
    if strategy not in contract.strategies:
        raise DeepmarkError(
            f"{path.name}: an exported model serves {' and '.join(contract.strategies)}, not {strategy}. Choose "
            "one of them, or use the checkpoint."
        )


def _open(path: Path, device: str) -> tuple[Any, Contract]:
    """The session of a file, and its contract."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    _check_file(path)
    providers = _providers(device, onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.enable_mem_pattern = False  # which plans memory for one size of batch: 45 MB less of 240, as quick
    # Threads that spin while they wait take the processor from those that read images: half the images a second.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors; its warnings are about the machine, and for its developers
    try:
        session = onnxruntime.InferenceSession(path, options, providers=providers)
    except tuple(one for one in vars(state).values() if isinstance(one, type) and issubclass(one, Exception)) as error:
        raise DeepmarkError(
            f"{path}: onnxruntime {onnxruntime.__version__} cannot run it ({_line(error)}). {_REMEDY}"
        ) from None
    contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, str(path))
    contract.check_fits(session.get_inputs(), session.get_outputs(), str(path))
    return session, contract


def _check_file(path: Path) -> None:
    """Raise DeepmarkError where there is no file, where it says that it is damaged, and where it is of another kind."""
    if path.is_dir():
        raise DeepmarkError(f"{path}: a folder. Give a file, such as {path / 'model.onnx'}.")
    try:
        check_digest(path, _REMEDY)
        with path.open("rb") as file:
            kind = kind_of(file.read(1024))
    except FileNotFoundError:
        raise missing_model(path, "export") from None
    except OSError as error:
        raise DeepmarkError(f"{path}: cannot be read ({error.strerror}).") from None
    if kind != "data of no known kind":  # which an ONNX file is, having no signature
        raise DeepmarkError(f"{path}: {kind}, not an ONNX file. Give a file that `deepmark export` wrote.")


def _providers(device: str, available: Sequence[str]) -> list[Any]:
    match = re.fullmatch(r"(cpu|cuda)(?::(\d+))?", device)
    if match is None:
        raise DeepmarkError(f"device {device!r}: an exported model runs on 'cpu', 'cuda' or 'cuda:1'.")
    if match[1] == "cpu":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in available:
        raise DeepmarkError(
            f"device {device!r}: the installed onnxruntime has no support for GPUs. `pip install onnxruntime-gpu` "
            "instead of onnxruntime, or give 'cpu'."
        )
    return [("CUDAExecutionProvider", {"device_id": int(match[2] or 0)}), "CPUExecutionProvider"]


def _threads() -> int:
    """As many as the engine, or who starts the process, gives it by OMP_NUM_THREADS.

    Else as many as it may use processors, and at least two, for one often waits for memory.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return max(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")
