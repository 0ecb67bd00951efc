"""A model logged to MLflow."""

import os

import pytest
from tiny_dataset import jpeg
from workspaces import copied

from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams
from deepmark.tracking.tracker import Tracker
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file


@pytest.fixture(scope="module")
def logged(sharded_once, tmp_path_factory):
    """A workspace, and the URI of an untrained model logged from it."""
    workspace = copied(sharded_once, tmp_path_factory.mktemp("logged")).root
    text = profile_file("demo").read_text("utf-8").replace("max_megapixels: 50", "max_megapixels: 0.02")
    # The scores of an untrained network are low: here every detection is returned.
    (workspace / "params.yaml").write_text(text.replace("min_score: 0.3", "min_score: 0.0"))
    detector = build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1)
    save_detector(detector, workspace / "model.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracker = Tracker.start(workspace, params={}, tags={})
        uri = tracker.log_model(workspace / "model.safetensors", jpeg(1))
        assert "MLFLOW_TRACKING_URI" not in os.environ
        assert tracker._client.get_run(tracker.run_id).info.status == "RUNNING"
        tracker.finish()
    return workspace, uri
