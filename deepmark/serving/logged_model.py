"""Log the detector as an MLflow model: our source, a safetensors file, and the versions of the packages it needs."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deepmark.models.packaged import EXPORTED
from deepmark.models.packaged import WEIGHTS as PACKAGED_WEIGHTS

MODEL_FOLDER = "model"

ARTIFACTS = "artifacts"
"""Where the files of a model are in it."""

WEIGHTS = f"{ARTIFACTS}/model.safetensors"
"""The path of the weights' file in a logged model; MLflow keeps the file's name."""

CHECKPOINT_TAG, STRATEGY_TAG = "deepmark.checkpoint", "deepmark.strategy"
"""Tags of a logged model: the sha256 of its weights' file, and its strategy."""

SERVES_TAG, SERVED_TAG = "deepmark.serves", "deepmark.served"
"""Tags of one that serves an exported file: the precision of that file, and its sha256."""

FILES_TAG = "deepmark.files"
"""Tag of a logged model and of its version: a digest of its files other than those in `ARTIFACTS`."""

CHECKPOINT = "checkpoint"
"""What serves where it is no exported file."""


def log_model(
    checkpoint: Path,
    exported: Iterable[Path],
    example_image: bytes,
    model_config: dict[str, Any],
    tags: dict[str, str],
) -> str:
    """Log a model to the active run, and check that it predicts the example image, a file's bytes; returns its URI.

    It carries the `exported` files beside the checkpoint.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    package, example = Path(__file__).parents[1], pd.DataFrame({"image": [example_image]})
    with tempfile.TemporaryDirectory() as folder:
        # deepmark is in no package index, so the model brings its source; not the other model that comes with it: 6 MB
        left_out = shutil.ignore_patterns("__pycache__", EXPORTED, PACKAGED_WEIGHTS)
        source = shutil.copytree(package, Path(folder, package.name), ignore=left_out)
        info = mlflow.pyfunc.log_model(
            name=MODEL_FOLDER,
            python_model=str(package / "serving/pyfunc_model.py"),
            code_paths=[str(source)],
            artifacts={"checkpoint": str(checkpoint.resolve())} | {one.name: str(one.resolve()) for one in exported},
            model_config=model_config,
            tags=tags,
            # Not DataType.binary: MLflow's server would decode it, which makes garbage of data: URLs.
            signature=ModelSignature(inputs=Schema([ColSpec(DataType.string, "image")])),
            input_example=example,
            pip_requirements=_requirements(),
        )
    mlflow.pyfunc.load_model(info.model_uri).predict(example)  # log_model does the same, but hides errors
    return info.model_uri


def _requirements() -> list[str]:
    """The packages that serving needs, as installed here; MLflow would load the model in a new process to find them."""
    from importlib.metadata import version

    names = "mlflow torch onnxruntime numpy pandas pydantic safetensors simplejpeg pillow opencv-python-headless"
    return [f"{name}=={version(name)}" for name in (*names.split(), "ruamel.yaml")]
