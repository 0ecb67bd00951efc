"""`deepmark evaluate` needs no MLflow: it gives its figures, and says that they were not logged."""

import sys

import pytest
from registered import evaluated

from deepmark.digests import write_json_with_digest
from deepmark.eval.metric.metrics_file import read_metrics
from deepmark.model.detector import build_detector, save_detector
from deepmark.tracking.mlflow_store import open_client
from deepmark.tracking.tracker import Tracker
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def copied_in(sharded: Workspace) -> Workspace:
    """A workspace with a model that was trained elsewhere, whose MLflow run is not here."""
    sharded.checkpoint.mkdir(parents=True)
    save_detector(build_detector(sharded.params.model, DEEPFASHION2, seed=1), sharded.model_file)
    write_json_with_digest(sharded.training_file, {"mlflow_run_id": "0123"})
    return sharded


@pytest.mark.parametrize("where", ["in no store", "deleted", "behind a server that is down", "nowhere, without MLflow"])
def test_figures_of_a_model_whose_run_cannot_be_reached_are_given_with_a_warning(
    copied_in, where, deepmark, monkeypatch
):
    if where == "behind a server that is down":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    if where == "deleted":
        run = Tracker.start(copied_in.root, params={}, tags={}).run_id
        write_json_with_digest(copied_in.training_file, {"mlflow_run_id": run})
        open_client(copied_in.root).delete_run(run)
    evaluated(copied_in, finds_every=1)
    copied_in.metrics_file("nms").unlink()
    if where == "nowhere, without MLflow":
        monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
        monkeypatch.setattr("deepmark.errors.find_spec", lambda name: None)
    done = deepmark("evaluate", "--strategy", "nms", "--workspace", copied_in.root, "--json")

    assert done.code == 0
    assert done.facts["box"]["AP"] == 1.0
    assert read_metrics(copied_in.metrics_file("nms"))["box"]["AP"] == 1.0
    assert f"warning: the figures are in {copied_in.metrics_file('nms')}, and were not logged to MLflow: " in done.err
    why = {
        "in no store": "has no run 0123",
        "deleted": "mlflow runs restore --run-id",
        "behind a server that is down": "MLflow at http://me:***@127.0.0.1:9 cannot be used",
        "nowhere, without MLflow": "pip install '.[train]'",
    }
    assert why[where] in done.err
    assert "Traceback" not in done.err
