"""Smaller files of the small detector; what they cost in AP is measured by the stage."""

from pathlib import Path

import onnx
import pytest
from exported import EXPORTED_SIZE, canvases, with_distinct_peaks
from small_detector import small_detector

from deepmark.export.equality import equality
from deepmark.export.onnx_file import export_onnx
from deepmark.export.smaller import write_float16, write_int8
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS
from deepmark.model.detector import Detector, build_detector
from deepmark.params import model_params
from deepmark.runtime.onnx_detector import OnnxDetector
from deepmark.vocabulary import DEEPFASHION2

pytestmark = pytest.mark.slow


def precision_of(file) -> str:
    return OnnxDetector(file).contract.precision


def test_float16_halves_the_weights_and_hardly_moves_a_box(exported, tmp_path):
    write_float16(exported, tmp_path / "model.onnx")
    found = equality(small_detector(EXPORTED_SIZE), tmp_path / "model.onnx", [canvases(4)], PROFILE_PREDICT_PARAMS)

    assert precision_of(tmp_path / "model.onnx") == "float16"
    assert (tmp_path / "model.onnx").stat().st_size < 0.75 * exported.stat().st_size
    assert found.box < 0.5
    assert not found.holds()


MOBILE_SIZE = (64, 64)


@pytest.fixture(scope="module")
def mobile() -> Detector:
    params = model_params(backbone="mobile", input_size=MOBILE_SIZE)
    return with_distinct_peaks(build_detector(params, DEEPFASHION2, seed=1).eval(), MOBILE_SIZE)


@pytest.fixture(scope="module")
def mobile_file(mobile, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("mobile") / "model.onnx"
    export_onnx(mobile, file, PROFILE_PREDICT_PARAMS)
    return file


def test_int8_leaves_heads_and_the_two_layers_before_them_in_float_and_gives_the_same_bytes_again(
    mobile_file, tmp_path
):
    for name in ("a.onnx", "b.onnx"):
        write_int8(mobile_file, tmp_path / name, [canvases(2, MOBILE_SIZE), canvases(3, MOBILE_SIZE)])
    model = onnx.load(tmp_path / "a.onnx")
    integers = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    convolutions = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    in_float = {weight for weight in convolutions if weight not in integers}

    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert precision_of(tmp_path / "a.onnx") == "int8"
    assert len(convolutions) == 30
    assert {weight for weight in in_float if "backbone" in weight} == {
        "detector.backbone.merge.0.0.weight",
        "detector.backbone.last.0.weight",
    }
    assert len(in_float) == 6  # and two layers of either heatmap's head


def test_int8_of_a_backbone_of_one_layer_has_float_weights_alone(exported, tmp_path):
    write_int8(exported, tmp_path / "model.onnx", [canvases(1)])
    found = equality(small_detector(EXPORTED_SIZE), tmp_path / "model.onnx", [canvases(4)], PROFILE_PREDICT_PARAMS)

    assert precision_of(tmp_path / "model.onnx") == "int8"
    assert found.holds()


def test_int8_finds_most_of_what_torch_finds(mobile, mobile_file, tmp_path):
    images = [canvases(4, MOBILE_SIZE)]
    write_int8(mobile_file, tmp_path / "model.onnx", images)
    found = equality(mobile, tmp_path / "model.onnx", images, PROFILE_PREDICT_PARAMS)

    assert found.garments > 200
    assert found.missing < 0.3 * found.garments
