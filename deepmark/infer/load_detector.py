"""A trained model file as a detector for Python, run by PyTorch."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from deepmark.errors import DeepmarkError, as_path
from deepmark.images import OpenedImage
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor, PreparedImage, best_device
from deepmark.model.detector import load_network
from deepmark.params import PredictParams
from deepmark.runtime.image_detector import ImageDetector, check_min_score, least_score
from deepmark.types import Detections


class LoadedDetector(ImageDetector):
    """A trained network that PyTorch runs; `load_detector` makes one."""

    same_in_batches = False  # PyTorch's kernels depend on the size of a batch

    def __init__(self, path: Path, predictor: Predictor, strategy: str) -> None:
        params = predictor.params
        super().__init__(
            path,
            strategy=strategy,
            min_score=params.min_score,
            batch_size=params.batch_size,
            vocabulary=predictor.detector.vocabulary,
        )
        self._predictor = predictor

    def __repr__(self) -> str:
        predictor = self._predictor
        height, width = predictor.input_size
        return (
            f"LoadedDetector({str(self.path)!r}, backbone={str(predictor.detector.params.backbone)!r}, "
            f"input_size={height}x{width}, strategy={str(self.strategy)!r}, min_score={predictor.params.min_score:g}, "
            f"device={str(predictor.device)!r})"
        )

    def prepare(self, image: OpenedImage) -> PreparedImage:
        """An image on the canvases of the strategy; threads may do it ahead.

        Raises DeepmarkError where it is a JPEG that is cut off or damaged.
        """
        return self._predictor.prepare_opened(image)

    def detect(self, images: Sequence[PreparedImage]) -> list[Detections]:
        """The detections of each image, best first. All images make one batch, however many there are."""
        return self._predictor.detect(images)

    def with_options(self, *, strategy: str | None = None, min_score: float | None = None) -> "LoadedDetector":
        """The same network with another strategy, another least score, or both.

        Raises DeepmarkError for options that cannot be.
        """
        check_min_score(min_score)
        old, strategy = self._predictor, self.strategy if strategy is None else strategy
        params = old.params if min_score is None else old.params.model_copy(update={"min_score": min_score})
        return LoadedDetector(self.path, Predictor(old.detector, strategy, params, old.device), strategy)


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
    check_min_score(min_score)
    device = best_device() if device is None else checked_device(device)
    network = load_network(path)
    params = predict or network.predict_params or PROFILE_PREDICT_PARAMS
    least = least_score(min_score, params.min_score)
    predictor = Predictor(network, strategy, params.model_copy(update={"min_score": least}), device)
    return LoadedDetector(path, predictor, strategy)


def checked_device(device: torch.device | str) -> torch.device:
    """The device of this name; raises DeepmarkError where this machine has none such."""
    try:
        checked = torch.device(device)
        torch.empty(0, device=checked)
    except (RuntimeError, AssertionError) as error:  # torch raises either for a device that this machine lacks
        raise DeepmarkError(
            f"device {str(device)!r}: {str(error).splitlines()[0]} Give 'cpu', or leave it out."
        ) from None
    return checked
