"""A light backbone of our own, for low-power devices, for CPUs and for the demo.

A residual encoder down to stride 32 and a decoder back up to stride 4 that adds the encoder's features on the way
(skip connections). Plain 3x3 convolutions of few channels: on a CPU they are faster than the depthwise ones of networks
made for phones, and the stem is at stride 4 after two of them, so that hardly any work is done on large maps.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from deepmark.model.backbones.blocks import conv_bn, conv_bn_relu
from deepmark.shapes import Float


class Mobile(nn.Module):
    """Images in, features at stride 4 out; the sides of the images must be multiples of 32."""

    features = 48
    stacks = 1

    def __init__(self) -> None:
        super().__init__()
        stages = ((32, 1), (64, 2), (96, 2), (160, 2))  # channels and blocks at strides 4, 8, 16, 32
        widths = [width for width, _ in stages]
        self.stem = nn.Sequential(*conv_bn_relu(3, 16, stride=2), *conv_bn_relu(16, widths[0], stride=2))
        self.encoder = nn.ModuleList(
            _stage(in_channels, width, blocks, stride=1 if i == 0 else 2)
            for i, (in_channels, (width, blocks)) in enumerate(zip(widths[:1] + widths, stages, strict=False))
        )
        steps = list(pairwise(widths))
        self.narrow = nn.ModuleList(nn.Sequential(*conv_bn_relu(deep, fine, kernel=1)) for fine, deep in steps)
        self.merge = nn.ModuleList(nn.Sequential(*conv_bn_relu(fine, fine)) for fine, _ in steps)
        self.last = nn.Sequential(*conv_bn_relu(widths[0], self.features))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 48 h/4 w/4"]]:
        x = self.stem(images)
        encoded = []
        for stage in self.encoder:
            x = stage(x)
            encoded.append(x)
        for narrow, merge, fine in reversed(list(zip(self.narrow, self.merge, encoded, strict=False))):
            x = merge(F.interpolate(narrow(x), scale_factor=2.0) + fine)
        return (self.last(x),)


class Block(nn.Module):
    """A residual block: two 3x3 convolutions and a skip connection.

    Source: Deep Residual Learning, 2015, section 3.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_bn_relu(in_channels, out_channels, stride=stride), *conv_bn(out_channels, out_channels)
        )
        same = in_channels == out_channels and stride == 1
        self.around = (
            nn.Identity() if same else nn.Sequential(*conv_bn(in_channels, out_channels, kernel=1, stride=stride))
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        return F.relu(self.body(x) + self.around(x), inplace=True)


def _stage(in_channels: int, out_channels: int, blocks: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        Block(in_channels, out_channels, stride=stride),
        *(Block(out_channels, out_channels, stride=1) for _ in range(blocks - 1)),
    )
