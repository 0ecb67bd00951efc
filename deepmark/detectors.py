"""A detector from whatever people have, or its predictions: a checkpoint, an exported file, a workspace, a version."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepmark.errors import DeepmarkError, as_path, extras_named
from deepmark.models.packaged import OPEN, packaged_model
from deepmark.runtime.image_detector import ImageDetector, check_min_score, check_strategy

if TYPE_CHECKING:
    from deepmark.compute.engine import Engine
    from deepmark.params import PredictParams
    from deepmark.registry.versions import Registry, Version
    from deepmark.types import Prediction

EXPORTED = Path("export/model.onnx")
"""In a workspace."""


def load_detector(
    model: str | os.PathLike[str] = OPEN,
    *,
    device: Any = None,
    strategy: str = "nms",
    min_score: float | None = None,
    predict: "PredictParams | None" = None,
    workspace: str | os.PathLike[str] = ".",
) -> ImageDetector:
    """A detector; the same numbers as `deepmark detect` gives.

    `model` is an exported model.onnx, which needs nothing but the base package; the model.safetensors of a training,
    which PyTorch runs (extra `train`); a workspace, whose export/model.onnx is taken, or else its checkpoint; or
    models:/deepmark@champion, or another alias, of the registry that `workspace` logs to (extra `train`). "open", and
    nothing, is the model that comes with DeepMark.

    `device` is "cpu", "cuda" or "cuda:1"; without it a checkpoint uses the first GPU where there is one, an exported
    file the CPU. `strategy` is "none", "nms", "flip" or "multiscale", each slower and usually better than the one
    before; an exported file knows the first two, and "flip" with a second file. Detections below `min_score` are left
    out: 0.3, or the `min_score` of the model's section `predict` if that is higher. `predict`, that section of a
    params.yaml, is for checkpoints only; without it, it is as in the workspace of the model, or, of a copy elsewhere,
    as its file says.

    Raises DeepmarkError where the model is missing, damaged or none of DeepMark's, where none comes with this
    installation, and for options that cannot be.
    """
    if str(model).startswith("models:"):
        return _registered(str(model), Path(workspace), device=device, strategy=strategy, min_score=min_score)
    path = packaged_model(strategy) if model == OPEN else as_path(model, "load_detector: path")
    check_strategy(strategy)
    check_min_score(min_score)
    if path.is_dir():
        path = _model_of(path)
    if path.suffix == ".onnx":
        from deepmark.runtime.onnx_detector import OnnxDetector

        if predict is not None:
            raise DeepmarkError(f"{path}: an exported model has its section `predict` in it. Leave `predict` out.")
        return OnnxDetector(path, device=device, strategy=strategy, min_score=min_score)
    with extras_named():
        from deepmark.infer.load_detector import load_detector as load_checkpoint
        from deepmark.workspace.layout import workspace_of_model

        if predict is None and (found := workspace_of_model(path)) is not None:
            predict = found.params.predict
        return load_checkpoint(path, device=device, strategy=strategy, min_score=min_score, predict=predict)


def predict_images(
    images: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    model: str | os.PathLike[str],
    *,
    strategy: str = "nms",
    min_score: float | None = None,
    predict: "PredictParams | None" = None,
    recursive: bool = False,
    engine: "Engine | None" = None,
    unreadable: Callable[[str], None] | None = None,
    progress: Callable[[int], None] = lambda count: None,
    workspace: str | os.PathLike[str] = ".",
) -> "Iterator[Prediction]":
    """The detections in many images, in order, as they are made: on all GPUs of this machine, or of a cluster.

        for prediction in predict_images("photos", "model.safetensors"):
            print(prediction.file, prediction.detections)

    `images` is a path, a pattern such as "photos/**/*.jpg", a folder (with `recursive`, also the folders in it), a URL,
    or several of these; or a folder of shards. `file` of a prediction is the path, `image_id` the place among the
    images; of shards, those of the record. `model`, `strategy`, `min_score`, `predict` and `workspace` are as in
    `load_detector` (extra `train`).

    The images are predicted in parts of 512, or of the next multiple of the section's `batch_size`. Where the parts are
    predicted is up to `engine`: by default `deepmark.compute.local.Local()`, which has a process for each GPU; on
    devices of one kind every engine gives the same digits. `unreadable` is called with the reason for each image that
    cannot be read, and the others go on; `progress` with the number of further images that are done.

    Raises DeepmarkError where there is no image; without `unreadable`, when the first comes up that cannot be read;
    where the model is missing, damaged or none of DeepMark's, and for options that cannot be.
    """
    options: dict[str, Any] = {"strategy": strategy, "min_score": min_score, "recursive": recursive, "engine": engine}
    options |= {"unreadable": unreadable, "progress": progress}
    with extras_named():
        from deepmark.infer.predict_images import predict_images as predict_by_file
        from deepmark.workspace.layout import workspace_of_model

        if str(model).startswith("models:"):
            return _by_version(str(model), Path(workspace), images, **options)
        path = packaged_model(strategy) if model == OPEN else as_path(model, "predict_images: model")
        path = _model_of(path) if path.is_dir() else path
        if predict is None and path.suffix != ".onnx" and (found := workspace_of_model(path)) is not None:
            predict = found.params.predict
        return predict_by_file(images, path, predict=predict, **options)


def _by_version(uri: str, workspace: Path, images: Any, **options: Any) -> "Iterator[Prediction]":
    """As `predict_images`, by a registered version, whose file is kept in runs/ until all is predicted."""
    from deepmark.infer.predict_images import predict_images as predict_by_file

    registry, version = find_version(uri, workspace)
    runs = workspace / "runs"  # all machines of a cluster share it
    runs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="registered-", dir=runs) as folder:
        yield from predict_by_file(images, registry.download_served(version, Path(folder)), **options)


def _model_of(folder: Path) -> Path:
    """The model of a workspace."""
    for path in (folder / EXPORTED, folder / "data/checkpoint/model.safetensors"):
        if path.is_file():
            return path
    what = "has no model yet. `deepmark train` makes one" if (folder / "params.yaml").is_file() else "is no workspace"
    raise DeepmarkError(
        f"{folder}: this folder {what}. Give a workspace, a file such as model.onnx, or "
        "open, the small model of DeepMark."
    )


def _registered(uri: str, workspace: Path, **options: Any) -> ImageDetector:
    """The version with an alias in the registry of a workspace."""
    return load_version(*find_version(uri, workspace), **options)


def find_version(uri: str, workspace: Path) -> "tuple[Registry, Version]":
    """`registry.find_version`, which names the extra that is missing."""
    with extras_named():
        from deepmark.registry.find_version import find_version as find

        return find(uri, workspace)


def load_version(registry: "Registry", version: "Version", **options: Any) -> ImageDetector:
    """The detector of a registered version; `options` as in `load_detector`."""
    with extras_named():
        from deepmark.infer.load_detector import load_detector as load_checkpoint
        from deepmark.runtime.onnx_detector import OnnxDetector

        with tempfile.TemporaryDirectory(prefix="deepmark-") as folder:
            file = registry.download_served(version, Path(folder))
            if file.suffix == ".onnx":
                return OnnxDetector(file, **options)
            return load_checkpoint(file, **options)
