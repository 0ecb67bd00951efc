"""White images, in which the model of small_onnx finds garments, and what stands in for standard input."""

import io
import sys
from types import SimpleNamespace

from PIL import Image


def white(path, size=(64, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)
    return path


def standard_input(monkeypatch, data, is_terminal=False):
    stream = SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: is_terminal)
    monkeypatch.setattr(sys, "stdin", stream)
