"""The published networks: names and shapes of their weights, and what they answer for made-up weights."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_PARITY = Path(__file__).with_name("parity")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A network of CenterNet's with its COCO checkpoint."""

    name: str
    """Of the file, without .pth."""

    input_size: tuple[int, int]
    """Of the picture that the expected maps belong to."""

    layers: tuple[str, str]
    """The names of the detecting heads' two convolutions, after the head's."""

    without_effect: tuple[str, ...] = ()
    """What the keys begin with that are in the file and change nothing."""

    @property
    def shapes(self) -> dict[str, list[int]]:
        return json.loads((_PARITY / f"{self.name}_keys.json").read_text())

    def of_backbone(self, key: str) -> bool:
        return not key.startswith(("hm.", "wh.", "reg.", *self.without_effect))

    def weights(self) -> dict[str, Tensor]:
        """Made up, the same every time."""
        return {key: made_up_tensor(key, shape) for key, shape in self.shapes.items()}

    def picture(self) -> Tensor:
        """Channels in the original order, B G R."""
        noise = np.random.Generator(np.random.PCG64(11)).standard_normal((1, 3, *self.input_size))
        return torch.from_numpy(noise).float()

    def expected(self) -> dict[str, np.ndarray]:
        """The maps wh and reg, and the mean of each channel of hm, for `weights` and `picture`."""
        with np.load(_PARITY / f"{self.name}_expected.npz") as file:
            return dict(file)

    def head(self, name: str, weights: dict[str, Tensor], features: Tensor) -> Tensor:
        first, last = (f"{name}.{layer}" for layer in self.layers)
        hidden = F.relu(F.conv2d(features, weights[f"{first}.weight"], weights[f"{first}.bias"], padding=1))
        return F.conv2d(hidden, weights[f"{last}.weight"], weights[f"{last}.bias"])


DLA = Published(
    name="ctdet_coco_dla",
    input_size=(96, 160),
    layers=("0", "2"),
    without_effect=("base.fc.", "base.level3.project.", "base.level4.project."),
)
HOURGLASS = Published(name="ctdet_coco_hg", input_size=(128, 256), layers=("1.0.conv", "1.1"))


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


def check_maps(published: Published, found: dict[str, Tensor]) -> None:
    """Each map within 1e-4 of the expected one, relative to its largest value."""
    expected = published.expected()
    for name, values in found.items():
        error = np.abs(values.numpy() - expected[name]).max() / np.abs(expected[name]).max()
        assert error < 1e-4, (name, error)


def check_backbone(published: Published, backbone: nn.Module, *, memory_format: torch.memory_format) -> None:
    """With the made-up weights, the backbone's last features give the published maps."""
    weights = published.weights()
    backbone.load_state_dict({key: value for key, value in weights.items() if published.of_backbone(key)})
    backbone.eval().to(memory_format=memory_format)

    with torch.no_grad():
        features = backbone(published.picture().contiguous(memory_format=memory_format))[-1]
        maps = {name: published.head(name, weights, features) for name in ("hm", "wh", "reg")}

    maps["hm_mean_per_channel"] = maps.pop("hm").mean(dim=(0, 2, 3))
    check_maps(published, maps)
