"""The backbone DLA-34 with an up path of deformable convolutions, as CenterNet published it, or of plain ones.

Names and shapes of the weights are those of CenterNet's checkpoints, so that these load as they are. Three layers of
the checkpoints have no effect and are left out: `base.fc` and the `project` of levels 3 and 4.

Source: Deep Layer Aggregation, 2017, section 3; Objects as Points, 2019, section 5.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepmark.model.backbones.blocks import BasicBlock, conv_bn, conv_bn_relu
from deepmark.model.backbones.deform import DeformConv2d
from deepmark.shapes import Float

WIDTHS = (16, 32, 64, 128, 256, 512)
"""Channels of levels 0..5; level i is at stride 2 to the i."""


class DLA34(nn.Module):
    """Images in, features at stride 4 out; the sides of the images must be multiples of 32.

    Without `deformable` every deformable convolution is a plain one of the same name, kernel and shape.
    """

    features = WIDTHS[2]
    stacks = 1

    def __init__(self, *, deformable: bool = True) -> None:
        super().__init__()
        self.base = DLA()
        self.dla_up = DLAUp(WIDTHS[2:], deformable=deformable)
        self.ida_up = IDAUp(WIDTHS[2], WIDTHS[2:5], steps=(2, 4), deformable=deformable)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 64 h/4 w/4"]]:
        return (self.ida_up(self.dla_up(self.base(images)))[-1],)


class DLA(nn.Module):
    """The encoder: features at strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Sequential(*conv_bn_relu(3, WIDTHS[0], kernel=7))
        self.level0 = nn.Sequential(*conv_bn_relu(WIDTHS[0], WIDTHS[0]))
        self.level1 = nn.Sequential(*conv_bn_relu(WIDTHS[0], WIDTHS[1], stride=2))
        self.level2 = Tree(WIDTHS[1], WIDTHS[2], stride=2)
        self.level3 = TwoLevelTree(WIDTHS[2], WIDTHS[3])
        self.level4 = TwoLevelTree(WIDTHS[3], WIDTHS[4])
        self.level5 = Tree(WIDTHS[4], WIDTHS[5], stride=2, keeps_input=True)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        level2 = self.level2(self.level1(self.level0(self.base_layer(images))))
        level3 = self.level3(level2)
        level4 = self.level4(level3)
        return [level2, level3, level4, self.level5(level4)]


class Tree(nn.Module):
    """Two residual blocks whose outputs are fused, together with any earlier features, by a 1x1 convolution."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, keeps_input: bool = False, earlier: int = 0
    ) -> None:
        """`earlier` is the number of channels of the earlier features together."""
        super().__init__()
        self.stride = stride
        self.keeps_input = keeps_input
        self.tree1 = BasicBlock(in_channels, out_channels, stride=stride)
        self.tree2 = BasicBlock(out_channels, out_channels)
        self.root = Root(2 * out_channels + keeps_input * in_channels + earlier, out_channels)
        same = in_channels == out_channels
        self.project = nn.Sequential(*([] if same else conv_bn(in_channels, out_channels, kernel=1)))

    def forward(self, x: Float[Tensor, "b c h w"], *earlier: Tensor) -> Float[Tensor, "b d h2 w2"]:
        shrunk = F.max_pool2d(x, self.stride) if self.stride > 1 else x
        first = self.tree1(x, self.project(shrunk))
        second = self.tree2(first, first)
        inputs = [shrunk] if self.keeps_input else []
        return self.root(second, first, *inputs, *earlier)


class TwoLevelTree(nn.Module):
    """Two trees at half the size of their input; the second one's root also sees the first's output and the input."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.tree1 = Tree(in_channels, out_channels, stride=2)
        self.tree2 = Tree(out_channels, out_channels, earlier=in_channels + out_channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h/2 w/2"]:
        first = self.tree1(x)
        return self.tree2(first, F.max_pool2d(x, 2), first)


class Root(nn.Module):
    """A 1x1 convolution, batch normalisation and ReLU over several features side by side."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv, self.bn = conv_bn(in_channels, out_channels, kernel=1)

    def forward(self, *features: Float[Tensor, "b _ h w"]) -> Float[Tensor, "b d h w"]:
        return F.relu(self.bn(self.conv(torch.cat(features, dim=1))), inplace=True)


class DLAUp(nn.Module):
    """Upsamples the levels (fine to coarse) in rounds, each from one level further up; gives one map per scale."""

    def __init__(self, widths: tuple[int, ...], *, deformable: bool) -> None:
        super().__init__()
        self.rounds = len(widths) - 1
        for i in range(self.rounds):
            fine, deep = widths[-2 - i], widths[-1 - i]
            inputs, steps = (fine, *[deep] * (i + 1)), (2,) * (i + 1)
            self.add_module(f"ida_{i}", IDAUp(fine, inputs, steps=steps, deformable=deformable))

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        raised, finest = levels[-1:], levels[:0]
        for i in range(self.rounds):
            raised = self.get_submodule(f"ida_{i}")([levels[-2 - i], *raised])
            finest.insert(0, raised[-1])
        return finest


class IDAUp(nn.ModuleDict):
    """Upsamples coarser maps to the size of the first, one after the other, and fuses each with the previous one."""

    def __init__(self, channels: int, widths: tuple[int, ...], *, steps: tuple[int, ...], deformable: bool) -> None:
        """`widths` are the channels of the maps that come in, `steps` how many times smaller all but the first are."""
        super().__init__()
        for i, (in_channels, step) in enumerate(zip(widths[1:], steps, strict=True), start=1):
            self[f"proj_{i}"] = DeformConvBlock(in_channels, channels, deformable=deformable)
            self[f"up_{i}"] = BilinearUp(channels, step)
            self[f"node_{i}"] = DeformConvBlock(channels, channels, deformable=deformable)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        fused = maps[:1]
        for i, coarse in enumerate(maps[1:], start=1):
            raised = self[f"up_{i}"](self[f"proj_{i}"](coarse))
            fused.append(self[f"node_{i}"](raised + fused[-1]))
        return fused


class DeformConvBlock(nn.Module):
    """A 3x3 convolution, deformable or plain, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, deformable: bool) -> None:
        super().__init__()
        # A bias before batch normalisation changes nothing; it is there because checkpoints have it.
        self.conv = (
            DeformConv2d(in_channels, out_channels)
            if deformable
            else nn.Conv2d(in_channels, out_channels, 3, padding=1)
        )
        self.actf = nn.Sequential(nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        return self.actf(self.conv(x))


class BilinearUp(nn.ConvTranspose2d):
    """Upsamples maps, each channel by itself; its start values are bilinear interpolation."""

    def __init__(self, channels: int, step: int) -> None:
        super().__init__(channels, channels, 2 * step, stride=step, padding=step // 2, groups=channels, bias=False)

    def reset_parameters(self) -> None:
        size = self.kernel_size[0]
        ramp = 1 - (torch.arange(size) + 0.5 - size / 2).abs() / (size / 2)
        with torch.no_grad():
            self.weight.copy_(ramp[:, None] * ramp)
