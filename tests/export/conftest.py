from pathlib import Path

import pytest
from exported import EXPORTED_SIZE
from small_detector import small_detector

from deepmark.export.onnx_file import export_onnx
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small detector as an ONNX file."""
    file = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(small_detector(EXPORTED_SIZE), file, PROFILE_PREDICT_PARAMS)
    return file
