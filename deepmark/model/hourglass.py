"""Hourglass-104 as CornerNet and CenterNet published it: two hourglasses in a row, each of which gives features.

Names and shapes of the weights are those of CenterNet's checkpoints, so that these load as they are. The first
hourglass is there to be learned from: its features go into the second, and get a loss of their own.

Source: Stacked Hourglass Networks, 2016, section 3; CornerNet, 2018, section 3.4; Objects as Points, 2019, section 5.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

STACKS = 2
WIDTHS = (256, 256, 384, 384, 384, 512)
"""Channels at strides 4, 8, 16, 32, 64 and 128."""

BLOCKS = (2, 2, 2, 2, 2, 4)
"""Residual blocks at each of them."""


class Hourglass104(nn.Module):
    """Pictures in, features at stride 4 out, one map a stack, the last the best; sides must be multiples of 128."""

    features = WIDTHS[0]
    stacks = STACKS

    def __init__(self) -> None:
        super().__init__()
        width, between = self.features, range(STACKS - 1)
        self.pre = nn.Sequential(Convolution(3, 128, kernel=7, stride=2), Residual(128, width, stride=2))
        self.kps = nn.ModuleList(Hourglass(WIDTHS, BLOCKS) for _ in range(STACKS))
        self.cnvs = nn.ModuleList(Convolution(width, width, kernel=3) for _ in range(STACKS))
        self.inters_ = nn.ModuleList(_projection(width, width) for _ in between)
        self.cnvs_ = nn.ModuleList(_projection(width, width) for _ in between)
        self.inters = nn.ModuleList(Residual(width, width) for _ in between)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 256 h/4 w/4"], ...]:
        x = self.pre(images)
        found = [self.cnvs[0](self.kps[0](x))]
        for i, inter in enumerate(self.inters):
            x = inter(F.relu(self.inters_[i](x) + self.cnvs_[i](found[-1])))
            found.append(self.cnvs[i + 1](self.kps[i + 1](x)))
        return tuple(found)


class Hourglass(nn.Module):
    """Blocks at one size, beside blocks at half the size with a smaller hourglass in their middle; both added."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        (width, deeper, *_), (count, count_below, *_) = widths, blocks
        self.up1 = nn.Sequential(*(Residual(width, width) for _ in range(count)))
        self.low1 = nn.Sequential(
            Residual(width, deeper, stride=2), *(Residual(deeper, deeper) for _ in range(count - 1))
        )
        if len(widths) > 2:
            self.low2: nn.Module = Hourglass(widths[1:], blocks[1:])
        else:
            self.low2 = nn.Sequential(*(Residual(deeper, deeper) for _ in range(count_below)))
        self.low3 = nn.Sequential(*(Residual(deeper, deeper) for _ in range(count - 1)), Residual(deeper, width))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        below = self.low3(self.low2(self.low1(x)))
        return self.up1(x) + F.interpolate(below, scale_factor=2.0)


class Residual(nn.Module):
    """Two 3x3 convolutions and a way around them, which is all there is at the start (their last scale is 0).

    Else 50 blocks in a row add up wherever batch normalisation does not see the batch: before training, in eval mode,
    the deviation of the features was 120,000, more than fp16 holds. So it is 10.
    """

    def __init__(self, before: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        nn.init.zeros_(self.bn2.weight)
        same = before == width and stride == 1
        self.skip = nn.Sequential() if same else _projection(before, width, stride=stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        inside = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(inside)) + self.skip(x), inplace=True)


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, before: int, width: int, *, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _projection(before: int, width: int, *, stride: int = 1) -> nn.Sequential:
    """A 1x1 convolution and batch normalisation."""
    return nn.Sequential(nn.Conv2d(before, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))
