"""A detector from whatever people have, from Python and on the command line."""

import json
import shutil

import numpy as np
import pytest
from encoded_images import encoded
from PIL import Image
from small_onnx import CONTRACT, small_onnx

from deepmark.detectors import load_detector
from deepmark.errors import DeepmarkError
from deepmark.infer.load_detector import LoadedDetector
from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams
from deepmark.runtime.onnx_detector import OnnxDetector
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file

WHITE = np.full((64, 128, 3), 255, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A workspace with a checkpoint, as far as detection looks at one."""
    shutil.copy(profile_file("demo"), tmp_path / "params.yaml")
    (tmp_path / "data/checkpoint").mkdir(parents=True)
    network = build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1)
    save_detector(network, tmp_path / "data/checkpoint/model.safetensors")
    return tmp_path


def test_a_workspace_gives_its_exported_file_or_else_its_checkpoint(folder):
    assert isinstance(load_detector(folder, device="cpu"), LoadedDetector)

    (folder / "export").mkdir()
    small_onnx(folder / "export/model.onnx")

    assert isinstance(load_detector(folder, device="cpu"), OnnxDetector)
    assert isinstance(load_detector(folder / "data/checkpoint/model.safetensors", device="cpu"), LoadedDetector)


def test_a_checkpoint_in_its_workspace_is_used_as_params_yaml_says_now(folder):
    params = folder / "params.yaml"
    params.write_text(params.read_text("utf-8").replace("min_score: 0.0", "min_score: 0.9"), "utf-8")
    file = folder / "data/checkpoint/model.safetensors"

    assert load_detector(file, device="cpu").min_score == 0.9
    assert load_detector(shutil.copy(file, folder / "copy.safetensors"), device="cpu").min_score == 0.3


def test_deepmark_detect_takes_an_exported_file(deepmark, tmp_path):
    Image.fromarray(WHITE).save(tmp_path / "photo.png")
    model = small_onnx(tmp_path / "model.onnx")

    done = deepmark("detect", tmp_path / "photo.png", "--model", model, "--draw", tmp_path / "out", "--json")

    assert done.code == 0, done.err
    assert done.facts == {str(tmp_path / "photo.png"): json.loads(json.dumps(load_detector(model)(WHITE).as_dicts()))}
    assert (tmp_path / "out/photo.jpg").is_file()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "none.onnx",
            "none.onnx: no such file. `deepmark export` makes a model; --model names one, --model open the small one",
        ),
        ("photo.onnx", "photo.onnx: a PNG, not an ONNX file. Give a file that `deepmark export` wrote."),
        ("empty", "empty: this folder is no workspace. Give a workspace, a file such as model.onnx, or open"),
        ("new", "new: this folder has no model yet. `deepmark train` makes one. Give a workspace, a file such as"),
        (
            "models:/other@champion",
            "models:/other@champion: not a registered model. Give models:/deepmark@champion, or",
        ),
        (
            "models:/deepmark/1",
            "models:/deepmark/1: not a registered model. Give models:/deepmark@champion, or a file.",
        ),
    ],
)
def test_what_is_no_model_is_told(deepmark, tmp_path, monkeypatch, model, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.onnx").write_bytes(encoded(WHITE))
    (tmp_path / "photo.png").write_bytes(encoded(WHITE))
    (tmp_path / "empty").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "new/params.yaml").touch()

    done = deepmark("detect", "photo.png", "--model", model)

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"deepmark detect: {message}")
    assert done.err.count("\n") == 1


def test_an_exported_model_takes_no_section_predict(tmp_path):
    small_onnx(tmp_path / "model.onnx")

    with pytest.raises(DeepmarkError, match=r"model\.onnx: an exported model has its section `predict` in it"):
        load_detector(tmp_path / "model.onnx", predict=CONTRACT.predict)
