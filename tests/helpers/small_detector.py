"""A very small detector: one convolution of stride 4 and the real heads, with random weights."""

from typing import Literal

import torch
from torch import Tensor, nn

from deepmark.model.detector import Detector
from deepmark.model.heads import STRIDE, Heads
from deepmark.model.landmark_channels import landmark_layout
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2, Vocabulary

_FEATURES = 8


class SmallBackbone(nn.Conv2d):
    """One convolution that gives features at stride 4, as the only stack."""

    def __init__(self) -> None:
        super().__init__(3, _FEATURES, STRIDE, stride=STRIDE)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (super().forward(images),)


def small_detector(
    input_size: tuple[int, int] = (64, 96),
    landmark_maps: Literal["separate", "grouped"] = "separate",
    vocabulary: Vocabulary = DEEPFASHION2,
) -> Detector:
    """A detector whose maps vary a lot from cell to cell, with offsets of 0.5 everywhere."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(7)
        heads = Heads(_FEATURES, hidden=16, layout=landmark_layout(vocabulary, landmark_maps))
        params = ModelParams(backbone="mobile", input_size=input_size, landmark_maps=landmark_maps)
        detector = Detector(SmallBackbone(), heads, params)
        for name, head in heads.named_children():
            nn.init.normal_(head[2].weight, std=1.0)
            if name.endswith("offset"):
                nn.init.zeros_(head[2].weight)
                nn.init.constant_(head[2].bias, 0.5)
            if name == "size":
                nn.init.constant_(head[2].bias, 6.0)
    return detector.eval()
