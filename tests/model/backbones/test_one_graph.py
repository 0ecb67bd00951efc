"""torch.compile sees every backbone as one graph, forward and backward, so nothing of it runs in Python."""

import subprocess
import sys

import pytest

TRACED = """
import sys
import torch
from deepmark.model.detector import build_detector
from deepmark.params import model_params
from deepmark.vocabulary import DEEPFASHION2

(backbone,) = sys.argv[1:]
detector = build_detector(model_params(backbone=backbone, input_size=(128, 128)), DEEPFASHION2, seed=0).train()
detector.backbone.compile(fullgraph=True, backend="aot_eager")
features = detector.backbone(torch.zeros(2, 3, 128, 128))
sum(each.sum() for each in features).backward()
assert all(weight.grad is not None for weight in detector.backbone.parameters())
print(backbone)
"""
"""In a process of its own: the shape checks, which only tests have, cannot be compiled."""


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["mobile", "dla34", "hourglass104"])
def test_a_backbone_is_one_graph(backbone):
    done = subprocess.run([sys.executable, "-c", TRACED, backbone], capture_output=True, text=True, check=False)

    assert done.stdout == f"{backbone}\n", done.stderr
