"""DLA-34 against figures of the published network."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deepmark.model.dla import DLA34
from deepmark.model.heads import Head

PARITY = Path(__file__).with_name("parity")
HEADS = {"hm": ("center_heatmap", 80), "wh": ("size", 2), "reg": ("center_offset", 2)}
"""CenterNet's name of a head, ours, and its channels in the COCO checkpoint."""

WITHOUT_EFFECT = ("base.fc.", "base.level3.project.", "base.level4.project.")


class CocoDetector(DLA34):
    """DLA-34 with the heads of CenterNet's COCO checkpoint, under CenterNet's names."""

    def __init__(self) -> None:
        super().__init__()
        for name, (_, channels) in HEADS.items():
            self.add_module(name, Head(self.features, 256, channels))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = super().forward(images)
        return {name: self.get_submodule(name)(features) for name in HEADS}


def published_shapes() -> dict[str, list[int]]:
    return json.loads((PARITY / "ctdet_coco_dla_keys.json").read_text())


def made_up_tensor(key: str, shape: list[int]) -> Tensor:
    """The recipe that the expected figures were computed with."""
    seed = int.from_bytes(hashlib.sha256(f"deepmark:{key}".encode()).digest()[:8], "little")
    noise = np.asarray(np.random.Generator(np.random.PCG64(seed)).standard_normal(shape), np.float32)
    fan_in = math.prod(shape[1:])
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if key.endswith("running_mean") or (len(shape) == 1 and key.endswith("bias")):
        values = 0.1 * noise
    elif key.endswith("running_var"):
        values = np.abs(1 + 0.1 * noise)
    elif len(shape) == 1:
        values = 1 + 0.1 * noise
    else:
        values = (0.3 if "conv_offset_mask" in key else 1.0) * noise / math.sqrt(fan_in)
    return torch.from_numpy(np.asarray(values, np.float32))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    network = CocoDetector()
    weights = {key: made_up_tensor(key, shape) for key, shape in published_shapes().items()}
    network.load_state_dict({key: value for key, value in weights.items() if not key.startswith(WITHOUT_EFFECT)})
    return network.eval()


def test_the_weights_have_the_names_and_shapes_of_the_published_checkpoint():
    ours = {key: list(value.shape) for key, value in CocoDetector().state_dict().items()}

    assert ours == {key: shape for key, shape in published_shapes().items() if not key.startswith(WITHOUT_EFFECT)}


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_maps_equal_those_of_the_published_network(network, memory_format):
    pictures = torch.from_numpy(np.random.Generator(np.random.PCG64(11)).standard_normal((1, 3, 96, 160)))
    expected = np.load(PARITY / "ctdet_coco_dla_expected.npz")

    with torch.no_grad():
        maps = network.to(memory_format=memory_format)(pictures.float().contiguous(memory_format=memory_format))

    found = {"wh": maps["wh"], "reg": maps["reg"], "hm_mean_per_channel": maps["hm"].mean(dim=(0, 2, 3))}
    for name, values in found.items():
        error = np.abs(values.numpy() - expected[name]).max() / np.abs(expected[name]).max()
        assert error < 1e-4, name
