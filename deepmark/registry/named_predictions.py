"""The predictions that a person means: of a strategy, in a file, by an exported model, or of a registered version."""

import tempfile
from pathlib import Path

from deepmark.types import Prediction
from deepmark.workspace.inputs import find_predictions, read_predictions_of
from deepmark.workspace.layout import Workspace
from deepmark.workspace.predict_validation import predict_validation


def named_predictions(workspace: Workspace, name: str, images: set[int]) -> list[Prediction]:
    """The predictions of these validation images that `name` means.

    It is a strategy of the workspace, a file of predictions, a model.onnx, which predicts by NMS, or
    models:/deepmark@champion, whose predictions are those that the gate compares. Raises DeepmarkError where it is none
    of these, cannot predict, or is of other images.
    """
    if not name.startswith("models:") and not name.endswith(".onnx"):
        return read_predictions_of(find_predictions(workspace, name), images)
    with tempfile.TemporaryDirectory(prefix="deepmark-compare-") as folder:
        if name.startswith("models:"):
            from deepmark.registry.cached_evaluation import EvaluatedVersion
            from deepmark.registry.find_version import find_version

            registry, found = find_version(name, workspace.root)
            version = EvaluatedVersion(registry, workspace, found, Path(folder))
            version.check_weights()
            return version.read_predictions()
        made = Path(folder) / "nms.parquet"
        predict_validation(workspace, Path(name), made, strategy="nms", run_id="")
        return read_predictions_of(made, images)
