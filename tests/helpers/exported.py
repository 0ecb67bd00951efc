"""What tests of exported files share."""

import numpy as np
import torch
from torch import nn

from deepmark.model.backbones.deform import DeformConv2d
from deepmark.model.detector import Detector

EXPORTED_SIZE = (64, 96)
"""Height and width of the canvases of the fixture `exported`."""


def canvases(count: int, size: tuple[int, int] = EXPORTED_SIZE) -> np.ndarray:
    """So many random RGB canvases, the same in every test."""
    return np.random.default_rng(count).integers(0, 256, (count, *size, 3), np.uint8)


@torch.no_grad()
def with_distinct_peaks(detector: Detector, size: tuple[int, int]) -> Detector:
    """The detector with moving taps, and with heads whose maps vary by a logit, a cell or a few."""
    torch.manual_seed(3)
    for module in detector.modules():
        if isinstance(module, DeformConv2d):
            nn.init.normal_(module.conv_offset_mask.weight, std=0.01)
    for name, head in detector.heads.named_children():
        nn.init.normal_(head[2].weight)
        images = detector.normalize(torch.from_numpy(canvases(1, size)))
        head[2].weight /= getattr(detector(images), name).std()
        nn.init.constant_(head[2].bias, {"size": 6.0}.get(name, 0.5 if name.endswith("offset") else 0.0))
        if name.endswith("offset"):
            head[2].weight *= 0.1
    return detector
