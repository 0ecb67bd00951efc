"""A version carries its exported files; where one of them serves, its own figures decide."""

import json

import pandas as pd
import pytest
from registered import aliases, cannot_predict, evaluated, flip_bit, tags
from workspaces import copied, made_once, refused, set_params

from deepmark import stages
from deepmark.detectors import load_detector
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.registry.cached_evaluation import EVALUATION_TAG
from deepmark.registry.exported import EXPORTED_TAG
from deepmark.registry.promote import list_models, promote
from deepmark.registry.register import register
from deepmark.registry.versions import Registry
from deepmark.runtime.onnx_detector import OnnxDetector
from deepmark.tracking.mlflow_store import as_current_store, store_errors, tracking_uri
from deepmark.workspace.layout import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def exported_once(pair_once, tmp_path_factory):
    def make(folder):
        workspace = set_params(
            copied(pair_once, folder), export={"calibration_images": 4, "equality_images": 4, "max_ap_drop": 1.0}
        )
        stages.predict(workspace, strategy="none")
        stages.export(workspace)

    return Workspace(made_once(tmp_path_factory, "exported", make) / "workspace")


@pytest.fixture
def exported(exported_once, tmp_path):
    """The workspace of `pair`, whose checkpoint, version 2, was exported."""
    return copied(exported_once, tmp_path)


@pytest.fixture(scope="session")
def served_once(exported_once, tmp_path_factory):
    def make(folder):
        workspace = set_params(copied(exported_once, folder), promote={"serve": "int8"})
        assert register(workspace)["version"] == 3

    return Workspace(made_once(tmp_path_factory, "served", make) / "workspace")


@pytest.fixture
def served(served_once, tmp_path):
    """The same with version 3, the challenger: the checkpoint of version 2, whose int8 file serves."""
    return copied(served_once, tmp_path)


def stored_files(workspace, number):
    """The files of a version in MLflow's store, by name."""
    uri = tracking_uri(workspace.root)
    with store_errors(uri), as_current_store(uri):
        from mlflow.artifacts import list_artifacts

        artifacts = list_artifacts(f"models:/deepmark/{number}/artifacts")
    names = {one.path.rpartition("/")[2] for one in artifacts}
    places = [file for file in (workspace.root / "mlartifacts").rglob("*") if file.name in names]
    return {file.name: file for file in sorted(places)}


def test_a_version_carries_the_exported_files_with_their_figures(exported, deepmark):
    done = deepmark("register", "--workspace", exported.root, "--json")

    assert done.facts["exported"] == "float32, float16, int8"
    assert (done.facts["version"], done.facts["serves"]) == (2, "checkpoint")
    figures = json.loads(tags(exported, 2)[EXPORTED_TAG])
    kept = stored_files(exported, 2)
    assert {name: of["sha256"] for name, of in figures.items()} == {
        name: file_sha256(kept[of["file"]]) for name, of in figures.items()
    }
    assert kept["model.json"].read_bytes() == (exported.export / "model.json").read_bytes()
    metrics = json.loads(exported.export_metrics_file.read_text("utf-8"))["files"]
    assert figures["int8"]["landmark_ap"] == metrics["int8"]["landmark_ap"]["value"]


def test_the_gate_compares_the_file_that_serves(served):
    by_file = OnnxDetector(served.export / "model_int8.onnx", strategy="nms", min_score=0.0)
    limits = {"tolerance": 1.0, "max_category_drop": 1.0, "max_latency_ratio": 1e6}
    comparison = promote(set_params(served, promote=limits), dry_run=True).comparison

    assert comparison.challenger.megabytes == (served.export / "model_int8.onnx").stat().st_size / 1e6
    versions = {one["version"]: one for one in list_models(served)}
    assert versions[3]["serves"] == "int8"
    assert versions[2]["serves"] == "checkpoint"
    assert versions[3]["megabytes"] < versions[2]["megabytes"]
    stored = json.loads(tags(served, 3)[EVALUATION_TAG])
    rules = {rule.name: rule for rule in comparison.gate.rules}
    assert rules["landmark AP"].challenger == stored["figures"]["landmark_ap"]
    (predictions,) = (served.root / "mlartifacts").rglob(stored["path"])
    assert _as_found_by(by_file, served, predictions)


def _as_found_by(detector, workspace, predictions):
    """Whether a file of predictions holds what the detector finds in every image."""
    from deepmark.data.predictions import read_predictions

    for one in read_predictions(predictions)[0]:
        found = detector(workspace.raw / "validation" / one.file)
        if found.scores.tolist() != one.detections.scores.tolist():
            return False
    return True


def test_the_version_is_loaded_and_served_by_its_exported_file(served):
    image = next((served.raw / "validation/image").glob("*.jpg"))
    expected = OnnxDetector(served.export / "model_int8.onnx", min_score=0.3)(image)
    loaded = load_detector("models:/deepmark@challenger", workspace=served.root)
    uri, sent = tracking_uri(served.root), pd.DataFrame({"image": [image.read_bytes()]})
    with store_errors(uri), as_current_store(uri):
        import mlflow.pyfunc

        (by_mlflow,) = mlflow.pyfunc.load_model("models:/deepmark@challenger").predict(sent)

    assert loaded.contract.precision == "int8"
    assert loaded(image).as_dicts() == expected.as_dicts() == by_mlflow


def test_the_same_file_registered_again_is_the_same_version_and_predicts_nothing(served, monkeypatch):
    cannot_predict(monkeypatch)

    assert register(served)["version"] == 3
    assert aliases(served) == {3: ("challenger",), 2: (), 1: ("champion",)}


@pytest.mark.parametrize("fault", ["a flipped bit", "gone"])
def test_a_served_file_that_rotted_is_told_and_stored_again_by_register(served, fault, caplog):
    file = stored_files(served, 3)["model_int8.onnx"]
    flip_bit(file) if fault == "a flipped bit" else file.unlink()
    with pytest.raises(DeepmarkError, match="changed since" if fault == "a flipped bit" else "cannot be fetched"):
        promote(served, force="now")
    register(served)

    assert file_sha256(file) == file_sha256(served.export / "model_int8.onnx")
    assert ("its model_int8.onnx was lost or damaged" in caplog.text) == (fault == "a flipped bit")


@pytest.mark.parametrize("fault", ["never", "another checkpoint", "other parameters", "damaged"])
def test_a_file_that_cannot_serve_is_not_registered(exported, deepmark, fault):
    workspace = set_params(exported, promote={"serve": "int8"})
    file, words = workspace.export / "model_int8.onnx", "is not of this checkpoint and these parameters"
    if fault == "never":
        workspace.export_metrics_file.unlink()
    elif fault == "another checkpoint":
        evaluated(workspace, finds_every=1, seed=8)
    elif fault == "other parameters":
        workspace = set_params(workspace, predict={"nms_iou": 0.6})
    else:
        flip_bit(file)
        words = "not the file that"
    done = deepmark("register", "--workspace", workspace.root)

    assert refused(done, str(file), words, "deepmark export")
    assert aliases(workspace) == {2: ("challenger",), 1: ("champion",)}


def test_a_strategy_that_no_exported_file_has_is_refused_with_it(exported, deepmark):
    workspace = set_params(exported, promote={"serve": "int8", "strategy": "multiscale"})

    assert refused(deepmark("register", "--workspace", workspace.root), "params.yaml", "none and nms, not multiscale")


def test_exported_files_and_versions_are_compared_like_strategies(exported, deepmark):
    by_file = deepmark("compare", "nms", exported.export / "model.onnx", "--workspace", exported.root, "--json")
    versions = [f"models:/deepmark@{alias}" for alias in ("champion", "challenger")]
    by_version = deepmark("compare", *versions, "--workspace", exported.root, "--json")

    assert by_file.code == by_version.code == 0
    overall = [json.loads(done.out)[0] for done in (by_file, by_version)]
    expected = promote(exported, dry_run=True).comparison.differences[0]
    assert (overall[1]["a"], overall[1]["b"]) == (expected.a, expected.b)
    assert overall[0]["metric"] == overall[1]["metric"] == "box_ap"


def test_a_version_that_does_not_exist_cannot_be_compared(exported, deepmark):
    done = deepmark("compare", "nms", "models:/deepmark@best", "--workspace", exported.root)

    assert refused(done, "models:/deepmark@best: no version has this alias")
    assert Registry(exported.root).versions()
