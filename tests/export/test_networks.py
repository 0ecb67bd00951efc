"""Every network as an ONNX file, equal to torch: random weights whose maps have distinct peaks, small canvases."""

from pathlib import Path

import onnx
import pytest
from exported import canvases, with_distinct_peaks

from deepmark.export.equality import equality
from deepmark.export.onnx_file import export_onnx
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS
from deepmark.model.detector import build_detector
from deepmark.params import model_params
from deepmark.runtime.contract import flip_file
from deepmark.vocabulary import DEEPFASHION2

pytestmark = pytest.mark.system

NETWORKS = {
    "mobile": ("mobile", True, (64, 64)),
    "mobile, portrait": ("mobile", True, (96, 64)),
    "dla34": ("dla34", True, (96, 64)),
    "dla34 plain": ("dla34", False, (64, 96)),
    "hourglass104": ("hourglass104", True, (256, 128)),
}
"""Backbone, deformable, input size."""


@pytest.mark.parametrize(("name", "flip"), [*((name, False) for name in NETWORKS), ("mobile", True), ("dla34", True)])
def test_a_network_finds_as_a_file_what_it_finds_in_torch(name: str, flip: bool, tmp_path: Path):
    backbone, deformable, size = NETWORKS[name]
    params = model_params(backbone=backbone, deformable=deformable, input_size=size)
    detector = with_distinct_peaks(build_detector(params, DEEPFASHION2, seed=1).eval(), size)
    path, images = tmp_path / "model.onnx", [canvases(2, size), canvases(1, size)]
    file = path.with_name(flip_file(path.name)) if flip else path
    export_onnx(detector, file, PROFILE_PREDICT_PARAMS, flip=flip)
    found = equality(detector, path, images, PROFILE_PREDICT_PARAMS, flip=flip)
    operators = [node.op_type for node in onnx.load(file).graph.node]

    assert found.garments > 30
    assert found.landmarks > 600
    assert found.holds(), found
    assert operators.count("DeformConv") == (16 if name == "dla34" else 0)
    assert "BatchNormalization" not in operators
