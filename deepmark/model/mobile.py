"""A light backbone of our own, for low-power devices, for the CPU and for the demo.

A residual encoder down to stride 32 and a decoder back up to stride 4 that adds what the encoder saw on the way. Plain
3x3 convolutions of few channels: on a CPU they are faster than the depthwise ones of networks made for phones, and the
stem is at stride 4 after two of them, so that hardly any work is done on large maps.
"""

from itertools import pairwise

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Mobile(nn.Module):
    """Pictures in, features at stride 4 out; sides must be multiples of 32."""

    features = 48
    stacks = 1

    def __init__(self) -> None:
        super().__init__()
        stages = ((32, 1), (64, 2), (96, 2), (160, 2))  # channels and blocks at strides 4, 8, 16, 32
        widths = [width for width, _ in stages]
        self.stem = nn.Sequential(*_convolution(3, 16, stride=2), *_convolution(16, widths[0], stride=2))
        self.encoder = nn.ModuleList(
            _stage(before, width, blocks, stride=1 if i == 0 else 2)
            for i, (before, (width, blocks)) in enumerate(zip(widths[:1] + widths, stages, strict=False))
        )
        steps = list(pairwise(widths))
        self.narrow = nn.ModuleList(nn.Sequential(*_convolution(deep, fine, kernel=1)) for fine, deep in steps)
        self.merge = nn.ModuleList(nn.Sequential(*_convolution(fine, fine)) for fine, _ in steps)
        self.last = nn.Sequential(*_convolution(widths[0], self.features))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 48 h/4 w/4"]]:
        x = self.stem(images)
        seen = []
        for stage in self.encoder:
            x = stage(x)
            seen.append(x)
        for narrow, merge, fine in reversed(list(zip(self.narrow, self.merge, seen, strict=False))):
            x = merge(F.interpolate(narrow(x), scale_factor=2.0) + fine)
        return (self.last(x),)


class Block(nn.Module):
    """Two 3x3 convolutions and a way around them.

    Source: Deep Residual Learning, 2015, section 3.
    """

    def __init__(self, before: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_convolution(before, width, stride=stride), *_convolution(width, width)[:2])
        same = before == width and stride == 1
        self.around = (
            nn.Identity() if same else nn.Sequential(*_convolution(before, width, kernel=1, stride=stride)[:2])
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        return F.relu(self.body(x) + self.around(x), inplace=True)


def _stage(before: int, width: int, blocks: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        Block(before, width, stride=stride), *(Block(width, width, stride=1) for _ in range(blocks - 1))
    )


def _convolution(before: int, width: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """Convolution, batch normalisation, ReLU."""
    convolution = nn.Conv2d(before, width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
