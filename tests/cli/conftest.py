"""`deepmark detect` in a folder with white images, with a small exported model."""

import pytest
from small_onnx import small_onnx
from white_images import white


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return small_onnx(tmp_path_factory.mktemp("exported") / "model.onnx")


@pytest.fixture
def detect(deepmark, model, tmp_path, monkeypatch):
    """deepmark("detect", …) in a folder with three images, one of them in a folder of its own."""
    for name in ("in/a.png", "in/b.jpg", "in/deep/c.png"):
        white(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return lambda *words: deepmark("detect", *words, "--model", model)
