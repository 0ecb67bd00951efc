"""Deformable convolution (v2) in plain torch: it needs no build step, and torch.compile can see through it.

torchvision's `deform_conv2d` is not used, even where it loads: on a CPU it took 111 ms where this takes 55 to 63 (64
channels, 128x128), nothing fuses with it, and two ways to compute a layer would be two slightly different models.

Source: Deformable ConvNets v2, 2018, section 2; layout of channels as in CenterNet's checkpoints.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from deepmark.shapes import Float

TAPS = 9
"""Samples of a 3x3 kernel, row by row."""


def deform_conv2d(
    x: Float[Tensor, "b c h w"],
    offset: Float[Tensor, "b 18 h w"],
    mask: Float[Tensor, "b 9 h w"],
    weight: Float[Tensor, "d c 3 3"],
    bias: Float[Tensor, " d"],
) -> Float[Tensor, "b d h w"]:
    """A 3x3 convolution, padding 1, whose taps are moved by `offset` and weighted by `mask`.

    Channel 2 t of `offset` moves tap t down and 2 t + 1 to the right, in cells. Values between cells are interpolated
    bilinearly, and outside the map they are zero. Positions and samples are computed in float32 at least, the products
    in the precision of autocast.

    On the CPU everything is deterministic. On CUDA the result and the gradients of offset, mask, weight and bias are;
    the gradient of `x` is not: grid_sample adds it up in any order, and fails under
    torch.use_deterministic_algorithms(True). Where a GPU must repeat a training bit by bit, set
    `model.deformable: false`.
    """
    (batch, channels, height, width), device = x.shape, x.device
    exact = torch.promote_types(x.dtype, torch.float32)
    shifts = offset.to(exact).unflatten(1, (TAPS, 2))
    tap = torch.arange(TAPS, device=device)[:, None, None]
    ys = shifts[:, :, 0] + (tap // 3 - 1 + torch.arange(height, device=device)[:, None])
    xs = shifts[:, :, 1] + (tap % 3 - 1 + torch.arange(width, device=device))
    grid = torch.stack([(2 * xs + 1) / width - 1, (2 * ys + 1) / height - 1], dim=-1)
    samples = F.grid_sample(x.to(exact), grid.flatten(1, 2), align_corners=False)
    weighted = (samples.unflatten(2, (TAPS, height)) * mask[:, None]).to(weight.dtype)
    result = weight.flatten(1) @ weighted.view(batch, channels * TAPS, height * width)
    return result.unflatten(2, (height, width)) + bias.to(result.dtype)[:, None, None]


class DeformConv2d(nn.Module):
    """A 3x3 convolution that learns, for every cell, where its nine taps sample and how much each counts.

    Its start values are half a plain convolution: no offsets, and every tap weighted by sigmoid(0) = 0.5.

    For the backward pass only its inputs are kept. The samples, nine times the size of the input and needed twice, are
    computed again, with the same bits. All layers of DLA-34 would otherwise keep 681 MiB an image of 512 x 512.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.conv_offset_mask = nn.Conv2d(in_channels, 3 * TAPS, 3, padding=1)
        """18 channels of offsets, then 9 of mask logits."""

        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        for parameter in (self.bias, *self.conv_offset_mask.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        offset, mask = self.conv_offset_mask(x).split([2 * TAPS, TAPS], dim=1)
        inputs = (x, offset, mask.sigmoid(), self.weight, self.bias)
        if not torch.is_grad_enabled():
            return deform_conv2d(*inputs)
        return checkpoint(deform_conv2d, *inputs, use_reentrant=False, preserve_rng_state=False)  # draws no numbers
