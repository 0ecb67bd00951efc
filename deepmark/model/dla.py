"""DLA-34 with an up path of deformable convolutions, as CenterNet published it, or of plain ones.

Names and shapes of the weights are those of CenterNet's checkpoints, so that these load as they are; left out are
three layers that are in the files and change nothing: `base.fc` and the `project` of levels 3 and 4.

Source: Deep Layer Aggregation, 2017, section 3; Objects as Points, 2019, section 5.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepmark.model.deform import DeformConv2d

WIDTHS = (16, 32, 64, 128, 256, 512)
"""Channels of levels 0..5; level i is at stride 2 to the i."""


class DLA34(nn.Module):
    """Pictures in, features at stride 4 out; sides must be multiples of 32.

    Without `deformable` every deformable convolution is a plain one of the same name, kernel and shape.
    """

    features = WIDTHS[2]
    stacks = 1

    def __init__(self, *, deformable: bool = True) -> None:
        super().__init__()
        self.base = Base()
        self.dla_up = RaiseAll(WIDTHS[2:], deformable=deformable)
        self.ida_up = Raise(WIDTHS[2], WIDTHS[2:5], steps=(2, 4), deformable=deformable)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 64 h/4 w/4"]]:
        return (self.ida_up(self.dla_up(self.base(images)))[-1],)


class Base(nn.Module):
    """The encoder: features at strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = _convolution(3, WIDTHS[0], kernel=7)
        self.level0 = _convolution(WIDTHS[0], WIDTHS[0], kernel=3)
        self.level1 = _convolution(WIDTHS[0], WIDTHS[1], kernel=3, stride=2)
        self.level2 = Tree(WIDTHS[1], WIDTHS[2], stride=2)
        self.level3 = DeepTree(WIDTHS[2], WIDTHS[3])
        self.level4 = DeepTree(WIDTHS[3], WIDTHS[4])
        self.level5 = Tree(WIDTHS[4], WIDTHS[5], stride=2, keeps_input=True)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        level2 = self.level2(self.level1(self.level0(self.base_layer(images))))
        level3 = self.level3(level2)
        level4 = self.level4(level3)
        return [level2, level3, level4, self.level5(level4)]


class Tree(nn.Module):
    """Two residual blocks whose outputs, with whatever older features are given, are fused by a 1x1 convolution."""

    def __init__(self, before: int, width: int, *, stride: int = 1, keeps_input: bool = False, older: int = 0) -> None:
        super().__init__()
        self.stride = stride
        self.keeps_input = keeps_input
        self.tree1 = Block(before, width, stride=stride)
        self.tree2 = Block(width, width)
        self.root = Root(2 * width + keeps_input * before + older, width)
        if before != width:
            self.project = nn.Sequential(nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width))
        else:
            self.project = nn.Sequential()

    def forward(self, x: Float[Tensor, "b c h w"], *older: Tensor) -> Float[Tensor, "b d h2 w2"]:
        shrunk = F.max_pool2d(x, self.stride) if self.stride > 1 else x
        first = self.tree1(x, self.project(shrunk))
        second = self.tree2(first, first)
        kept = [shrunk] if self.keeps_input else []
        return self.root(second, first, *kept, *older)


class DeepTree(nn.Module):
    """Two trees at half the size of their input; the second one's root also sees the first's output and the input."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.tree1 = Tree(before, width, stride=2)
        self.tree2 = Tree(width, width, older=before + width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h/2 w/2"]:
        first = self.tree1(x)
        return self.tree2(first, F.max_pool2d(x, 2), first)


class Root(nn.Module):
    """Features side by side, fused."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, width, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, *features: Float[Tensor, "b _ h w"]) -> Float[Tensor, "b d h w"]:
        return F.relu(self.bn(self.conv(torch.cat(features, dim=1))), inplace=True)


class Block(nn.Module):
    """Two 3x3 convolutions, added to a given residual."""

    def __init__(self, before: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Float[Tensor, "b c h w"], residual: Tensor) -> Float[Tensor, "b d h2 w2"]:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)) + residual, inplace=True)


class RaiseAll(nn.Module):
    """Takes the levels, fine to coarse, and brings ever more of them up; one map a scale comes out, fine to coarse."""

    def __init__(self, widths: tuple[int, ...], *, deformable: bool) -> None:
        super().__init__()
        self.rounds = len(widths) - 1
        for i in range(self.rounds):
            fine, deep = widths[-2 - i], widths[-1 - i]
            inputs, steps = (fine, *[deep] * (i + 1)), (2,) * (i + 1)
            self.add_module(f"ida_{i}", Raise(fine, inputs, steps=steps, deformable=deformable))

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        raised, best = levels[-1:], levels[:0]
        for i in range(self.rounds):
            raised = self.get_submodule(f"ida_{i}")([levels[-2 - i], *raised])
            best.insert(0, raised[-1])
        return best


class Raise(nn.ModuleDict):
    """Brings coarser maps to the size of the first, one after the other, each fused with the one before."""

    def __init__(self, width: int, widths: tuple[int, ...], *, steps: tuple[int, ...], deformable: bool) -> None:
        super().__init__()
        for i, (before, step) in enumerate(zip(widths[1:], steps, strict=True), start=1):
            self[f"proj_{i}"] = Refine(before, width, deformable=deformable)
            self[f"up_{i}"] = BilinearUp(width, step)
            self[f"node_{i}"] = Refine(width, width, deformable=deformable)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        fused = maps[:1]
        for i, coarse in enumerate(maps[1:], start=1):
            raised = self[f"up_{i}"](self[f"proj_{i}"](coarse))
            fused.append(self[f"node_{i}"](raised + fused[-1]))
        return fused


class Refine(nn.Module):
    """A 3x3 convolution, deformable or plain, batch normalisation, ReLU."""

    def __init__(self, before: int, width: int, *, deformable: bool) -> None:
        super().__init__()
        # A bias before batch normalisation changes nothing; it is there because checkpoints have it.
        self.conv = DeformConv2d(before, width) if deformable else nn.Conv2d(before, width, 3, padding=1)
        self.actf = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        return self.actf(self.conv(x))


class BilinearUp(nn.ConvTranspose2d):
    """Makes maps larger, each channel for itself, starting as bilinear interpolation."""

    def __init__(self, width: int, step: int) -> None:
        super().__init__(width, width, 2 * step, stride=step, padding=step // 2, groups=width, bias=False)

    def reset_parameters(self) -> None:
        size = self.kernel_size[0]
        ramp = 1 - (torch.arange(size) + 0.5 - size / 2).abs() / (size / 2)
        with torch.no_grad():
            self.weight.copy_(ramp[:, None] * ramp)


def _convolution(before: int, width: int, *, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    convolution = nn.Conv2d(before, width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
