"""The backbone Hourglass-104 as CornerNet and CenterNet published it: two stacked hourglasses, each giving features.

Names and shapes of the weights are those of CenterNet's checkpoints, so that these load as they are. The first
hourglass serves training: its features go into the second, and have a loss of their own (intermediate supervision).

Source: Stacked Hourglass Networks, 2016, section 3; CornerNet, 2018, section 3.4; Objects as Points, 2019, section 5.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from deepmark.model.backbones.blocks import BasicBlock, conv_bn
from deepmark.shapes import Float

STACKS = 2
WIDTHS = (256, 256, 384, 384, 384, 512)
"""Channels at strides 4, 8, 16, 32, 64 and 128."""

BLOCKS = (2, 2, 2, 2, 2, 4)
"""Residual blocks at each of them."""


class Hourglass104(nn.Module):
    """Images in, features at stride 4 out, one map a stack; the sides of the images must be multiples of 128."""

    features = WIDTHS[0]
    stacks = STACKS

    def __init__(self) -> None:
        super().__init__()
        width, between = self.features, range(STACKS - 1)
        self.pre = nn.Sequential(ConvBlock(3, 128, kernel=7, stride=2), ResidualBlock(128, width, stride=2))
        self.kps = nn.ModuleList(Hourglass(WIDTHS, BLOCKS) for _ in range(STACKS))
        self.cnvs = nn.ModuleList(ConvBlock(width, width) for _ in range(STACKS))
        self.inters_ = nn.ModuleList(nn.Sequential(*conv_bn(width, width, kernel=1)) for _ in between)
        self.cnvs_ = nn.ModuleList(nn.Sequential(*conv_bn(width, width, kernel=1)) for _ in between)
        self.inters = nn.ModuleList(ResidualBlock(width, width) for _ in between)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 256 h/4 w/4"], ...]:
        x = self.pre(images)
        features = [self.cnvs[0](self.kps[0](x))]
        for i, inter in enumerate(self.inters):
            x = inter(F.relu(self.inters_[i](x) + self.cnvs_[i](features[-1])))
            features.append(self.cnvs[i + 1](self.kps[i + 1](x)))
        return tuple(features)


class Hourglass(nn.Module):
    """Blocks at the size of the input, plus blocks at half that size with a smaller hourglass in their middle."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        (width, deeper, *_), (count, count_below, *_) = widths, blocks
        self.up1 = nn.Sequential(*(ResidualBlock(width, width) for _ in range(count)))
        self.low1 = nn.Sequential(
            ResidualBlock(width, deeper, stride=2), *(ResidualBlock(deeper, deeper) for _ in range(count - 1))
        )
        if len(widths) > 2:
            self.low2: nn.Module = Hourglass(widths[1:], blocks[1:])
        else:
            self.low2 = nn.Sequential(*(ResidualBlock(deeper, deeper) for _ in range(count_below)))
        self.low3 = nn.Sequential(
            *(ResidualBlock(deeper, deeper) for _ in range(count - 1)), ResidualBlock(deeper, width)
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        below = self.low3(self.low2(self.low1(x)))
        return self.up1(x) + F.interpolate(below, scale_factor=2.0)


class ResidualBlock(BasicBlock):
    """A basic block with its own skip connection; it starts as the skip alone (the last scale is 0).

    Without that zero, the outputs of 50 blocks in a row add up where batch normalisation uses running statistics: the
    standard deviation of the features of an untrained network in eval mode was 120,000, more than fp16 holds. With it,
    it is 10.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, stride=stride)
        nn.init.zeros_(self.bn2.weight)
        same = in_channels == out_channels and stride == 1
        self.skip = nn.Sequential(*([] if same else conv_bn(in_channels, out_channels, kernel=1, stride=stride)))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:  # type: ignore[override]
        return super().forward(x, self.skip(x))


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv, self.bn = conv_bn(in_channels, out_channels, kernel=kernel, stride=stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        return F.relu(self.bn(self.conv(x)), inplace=True)
