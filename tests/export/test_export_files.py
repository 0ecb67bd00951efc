import json
from dataclasses import replace
from pathlib import Path

import pytest
from workspaces import set_params

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.bootstrap import Interval
from deepmark.eval.metric.compare import Difference
from deepmark.export.export_files import check_drop
from deepmark.files import file_sha256
from deepmark.infer.load_detector import load_detector
from deepmark.runtime.contract import Contract
from deepmark.runtime.onnx_detector import OnnxDetector

LOST = Difference(metric="box_ap", scope="all", a=0.63, b=0.6, interval=Interval(low=-0.04, high=-0.02), b_wins=0.0)


def test_the_checkpoint_becomes_three_files_that_find_what_it_finds(trained, deepmark):
    workspace = set_params(trained, export={"calibration_images": 4, "equality_images": 4, "max_ap_drop": 0.5})
    assert deepmark("predict", "--strategy", "none", "--workspace", workspace.root).code == 0
    done = deepmark("export", "--workspace", workspace.root)
    assert done.code == 0, done.err
    files = json.loads(workspace.export_metrics_file.read_text("utf-8"))["files"]
    contract = Contract.read(workspace.export / "model.json")

    assert {path.name for path in workspace.export.iterdir()} == {
        "model.json",
        *(of["file"] for of in files.values()),
    }
    assert files.keys() == {"float32", "float16", "int8"}
    assert all(of["sha256"] == file_sha256(workspace.export / of["file"]) for of in files.values())
    assert files["float32"]["bytes"] > 1.8 * files["float16"]["bytes"] > 1.8 * files["int8"]["bytes"]
    assert files["float32"]["equality"]["holds"]
    assert files["float32"]["box_ap"]["difference"] == pytest.approx(0, abs=1e-3)
    assert contract.sha256["checkpoint"] == file_sha256(workspace.model_file)
    assert all(of["file"] in done.out for of in files.values())
    _same_detections(workspace)


def _same_detections(workspace, strategy: str = "nms") -> None:
    """What the file finds by the strategy is what the checkpoint finds."""
    image = next((workspace.raw / "validation/image").glob("*.jpg"))
    by_torch = load_detector(workspace.model_file, min_score=0.0, strategy=strategy)(image)
    by_file = OnnxDetector(workspace.export / "model.onnx", min_score=0.0, strategy=strategy)(image)
    assert len(by_torch) == len(by_file) > 0
    assert by_torch.scores == pytest.approx(by_file.scores, abs=1e-4)


@pytest.mark.system
def test_with_flip_each_file_has_a_second_one_for_that_strategy(trained, deepmark):
    export = {"formats": ["float32"], "flip": True, "equality_images": 4, "max_ap_drop": 0.5}
    workspace = set_params(trained, export=export)
    for strategy in ("none", "flip"):
        assert deepmark("predict", "--strategy", strategy, "--workspace", workspace.root).code == 0
    done = deepmark("export", "--workspace", workspace.root)
    assert done.code == 0, done.err
    figures = json.loads(workspace.export_metrics_file.read_text("utf-8"))

    assert {name: of["file"] for name, of in figures["files"].items()} == {
        "float32": "model.onnx",
        "float32 flip": "model_flip.onnx",
    }
    assert all(of["equality"]["holds"] for of in figures["files"].values())
    assert "torch, flip" in done.out
    assert Contract.read(workspace.export / "model.json").strategies == ("none", "nms")
    _same_detections(workspace)
    _same_detections(workspace, "flip")


@pytest.mark.slow
def test_a_stage_whose_file_loses_too_much_leaves_everything_as_it_was(trained, deepmark, monkeypatch):
    workspace = set_params(trained, export={"formats": ["float32"], "equality_images": 4})
    assert deepmark("predict", "--strategy", "none", "--workspace", workspace.root).code == 0
    workspace.export.mkdir()
    (workspace.export / "model.onnx").write_bytes(b"of an earlier run")
    differences = [LOST, replace(LOST, metric="landmark_ap")]
    monkeypatch.setattr("deepmark.export.export_files.compare", lambda *_, **__: differences)
    done = deepmark("export", "--workspace", workspace.root)

    assert (done.code, done.out) == (1, "")
    message = done.err.splitlines()[-1]
    assert message.startswith("deepmark export: model.onnx: refused: it loses more than export.max_ap_drop 0.02")
    assert "-0.0400 to -0.0200" in message
    assert [file.read_bytes() for file in workspace.export.iterdir()] == [b"of an earlier run"]
    assert not workspace.export_metrics_file.exists()


@pytest.mark.slow
def test_predictions_of_the_strategy_none_are_needed(trained, deepmark):
    done = deepmark("export", "--workspace", trained.root)

    assert done.code == 1
    assert "data/predictions/none.parquet: not there yet. Make it with `deepmark predict --strategy none`" in done.err
    assert not trained.export.exists()


def test_a_file_that_loses_too_much_is_refused_with_the_figures():
    with pytest.raises(
        DeepmarkError,
        match=r"model_int8.onnx: refused: it loses more than export.max_ap_drop 0.02: box_ap is 0.6000, torch's 0.6300 "
        r"\(95% of the differences: -0.0400 to -0.0200\). Raise export.calibration_images, leave this format out of",
    ):
        check_drop(Path("export/model_int8.onnx"), {"box_ap": LOST, "landmark_ap": replace(LOST, b=0.63)}, 0.02)


def test_a_file_that_loses_little_passes():
    check_drop(Path("model_int8.onnx"), {"box_ap": LOST, "landmark_ap": LOST}, 0.04)


def test_options_of_a_page_are_refused_without_one(trained, deepmark):
    done = deepmark("export", "--workspace", trained.root, "--model", "model.onnx")

    assert done.code == 1
    assert "--model and --onnxruntime-web are for a page: give --web DIR, too." in done.err
