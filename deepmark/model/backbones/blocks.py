"""Layers that several backbones share."""

import torch.nn.functional as F
from torch import Tensor, nn

from deepmark.shapes import Float


def conv_bn(
    in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution that keeps the size of its maps, up to its stride, and batch normalisation."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(out_channels)


def conv_bn_relu(
    in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d, nn.ReLU]:
    """The same, and ReLU."""
    return *conv_bn(in_channels, out_channels, kernel=kernel, stride=stride), nn.ReLU(inplace=True)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, added to a given residual.

    Source: Deep Residual Learning, 2015, section 3. Layers have the names of CenterNet's checkpoints.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_bn(in_channels, out_channels, stride=stride)
        self.conv2, self.bn2 = conv_bn(out_channels, out_channels)

    def forward(self, x: Float[Tensor, "b c h w"], residual: Float[Tensor, "b d h2 w2"]) -> Float[Tensor, "b d h2 w2"]:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)) + residual, inplace=True)
