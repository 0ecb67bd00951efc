"""A trained model file as a detector for Python: images of any kind in, `Detections` out."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import torch

from deepmark.errors import DeepmarkError, as_path
from deepmark.images import ImageSource, OpenedImage, open_image
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor, PreparedImage, best_device
from deepmark.model.detector import load_network
from deepmark.params import PredictParams
from deepmark.schema import SHOWN_SCORE
from deepmark.types import Detections


class LoadedDetector:
    """A trained network that finds garments and their landmarks; `load_detector` makes one."""

    def __init__(self, path: Path, predictor: Predictor, strategy: str) -> None:
        self.path = path
        self.strategy = strategy
        self._predictor = predictor

    def __repr__(self) -> str:
        predictor = self._predictor
        height, width = predictor.input_size
        return (
            f"LoadedDetector({str(self.path)!r}, backbone={str(predictor.detector.params.backbone)!r}, "
            f"input_size={height}x{width}, strategy={str(self.strategy)!r}, min_score={predictor.params.min_score:g}, "
            f"device={str(predictor.device)!r})"
        )

    @overload
    def __call__(self, images: ImageSource) -> Detections: ...  # type: ignore[overload-overlap]  # a str is a sequence

    @overload
    def __call__(self, images: Sequence[ImageSource]) -> list[Detections]: ...

    def __call__(self, images: ImageSource | Sequence[ImageSource]) -> Detections | list[Detections]:
        """The detections in an image, best first, in pixels of that image; for a list of images, a list of them.

        An image is a path, an http or https URL, the bytes of an image file, a file open for reading bytes, a PIL
        image, or an array of uint8 (grey, RGB or RGBA; height x width x channels).
        Pixels of a file or a PIL image are counted after it is turned upright by its EXIF data. A large JPEG is decoded
        at a half, a quarter or an eighth where the network sees no more of it; as an array or a PIL image it has all
        its pixels, and scores differ a little. The images of a list go through the network in batches; scores may then
        differ in the last digits from those of one image alone. A warning says where only the first frame is used.

        Raises DeepmarkError naming the image that cannot be read.
        """
        if not isinstance(images, list | tuple):
            prepared = self._prepare(images, "the image")  # type: ignore[arg-type]  # another sequence is refused
            return replace(self._predictor.detect([prepared])[0], source=images)
        batch_size = self._predictor.params.batch_size
        detections: list[Detections] = []
        for start in range(0, len(images), batch_size):
            batch = enumerate(images[start : start + batch_size], start=start)
            detections += self._predictor.detect([self._prepare(image, f"images[{number}]") for number, image in batch])
        return [replace(one, source=image) for one, image in zip(detections, images, strict=True)]

    @property
    def min_score(self) -> float:
        """Detections of lower scores are left out."""
        return self._predictor.params.min_score

    same_in_batches = False
    """PyTorch's kernels depend on the size of a batch, so scores may differ in the last digits."""

    def with_options(self, *, strategy: str | None = None, min_score: float | None = None) -> "LoadedDetector":
        """The same network with another strategy, another least score, or both.

        Raises DeepmarkError for a strategy that does not exist.
        """
        old = self._predictor
        params = old.params if min_score is None else old.params.model_copy(update={"min_score": min_score})
        strategy = strategy or self.strategy
        return LoadedDetector(self.path, Predictor(old.detector, strategy, params, old.device), strategy)

    def prepare(self, image: OpenedImage) -> PreparedImage:
        """An image as the network sees it, for `detect`; threads may do it ahead.

        Raises DeepmarkError where it is a JPEG that is cut off or damaged.
        """
        return self._predictor.prepare_opened(image)

    def detect(self, images: Sequence[PreparedImage]) -> list[Detections]:
        """The detections of each prepared image. All images make one batch, however many there are."""
        return self._predictor.detect(images)

    def _prepare(self, image: ImageSource, name: str) -> PreparedImage:
        opened = open_image(image, name=name)
        if opened.note and not isinstance(image, OpenedImage):  # who opened it has seen the note
            warnings.warn(f"{opened.name}: {opened.note}.", stacklevel=3)
        return self.prepare(opened)


def load_detector(
    path: str | os.PathLike[str],
    *,
    device: torch.device | str | None = None,
    strategy: str = "nms",
    min_score: float | None = None,
    predict: PredictParams | None = None,
) -> LoadedDetector:
    """A detector from the model.safetensors of a training; the same numbers as `deepmark detect` gives.

    `device` is the first GPU where there is one, or the CPU, unless it is named. `strategy` is "none", "nms", "flip"
    or "multiscale", each slower and usually better than the one before. Detections below `min_score` are left out:
    0.3, or the `min_score` of `predict` if that is higher. `predict` (that section of a params.yaml) is as in the
    workspace that trained the model; its file says so.

    Raises DeepmarkError where the file is missing, damaged or no DeepMark model, and for options that cannot be.
    """
    path = as_path(path, "load_detector: path")
    if min_score is not None and not (isinstance(min_score, float | int) and 0 <= min_score <= 1):
        raise DeepmarkError(f"min_score is {min_score!r}, and must be a number from 0 to 1.")
    device = best_device() if device is None else _checked_device(device)
    network = load_network(path)
    params = predict or network.predict_params or PROFILE_PREDICT_PARAMS
    least = max(SHOWN_SCORE, params.min_score) if min_score is None else min_score
    predictor = Predictor(network, strategy, params.model_copy(update={"min_score": least}), device)
    return LoadedDetector(path, predictor, strategy)


def _checked_device(device: torch.device | str) -> torch.device:
    try:
        checked = torch.device(device)
        torch.empty(0, device=checked)
    except (RuntimeError, AssertionError) as error:  # torch raises either for a device that this machine lacks
        raise DeepmarkError(
            f"device {str(device)!r}: {str(error).splitlines()[0]} Give 'cpu', or leave it out."
        ) from None
    return checked
