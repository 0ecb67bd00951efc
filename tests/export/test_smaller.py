"""Smaller files of the small detector; what they cost in AP is measured by the stage."""

import onnx
import pytest
from exported import EXPORTED_SIZE, canvases
from small_detector import small_detector

from deepmark.export.equality import equality
from deepmark.export.smaller import write_float16, write_int8
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS
from deepmark.runtime.onnx_detector import OnnxDetector

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


def test_int8_leaves_the_heads_in_float_and_gives_the_same_bytes_again(exported, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        write_int8(exported, tmp_path / name, [canvases(2), canvases(3)])
    model = onnx.load(tmp_path / "a.onnx")
    integers = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    quantised = [node for node in convolutions if node.input[1] in integers]

    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert precision_of(tmp_path / "a.onnx") == "int8"
    assert len(quantised) == 1  # the backbone's
    assert len(convolutions) == 5  # and two layers of either heatmap's head


def test_int8_finds_most_of_what_torch_finds(exported, tmp_path):
    write_int8(exported, tmp_path / "model.onnx", [canvases(4)])
    found = equality(small_detector(EXPORTED_SIZE), tmp_path / "model.onnx", [canvases(4)], PROFILE_PREDICT_PARAMS)

    assert found.garments > 200
    assert found.missing < 0.5 * found.garments
