"""The deformable convolution equals its definition, tap by tap."""

import itertools
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable

import pytest
import torch
import torch.nn.functional as F
from saved_bytes import saved_bytes
from torch import Tensor
from workspaces import SCALAR_KERNELS

from deepmark.model.backbones.deform import DeformConv2d, deform_conv2d


def bilinear(plane: Tensor, y: float, x: float) -> Tensor:
    """The value between cells; cells outside are zero."""
    height, width = plane.shape
    total = plane.new_zeros(())
    for row, column in itertools.product((math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)):
        if 0 <= row < height and 0 <= column < width:
            total = total + plane[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def convolve_slowly(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    result = bias[None, :, None, None].repeat(batch, 1, height, width)
    for b, row, column, tap, c in itertools.product(*map(range, (batch, height, width, 9, channels))):
        y = row + tap // 3 - 1 + offset[b, 2 * tap, row, column]
        x_ = column + tap % 3 - 1 + offset[b, 2 * tap + 1, row, column]
        sample = bilinear(x[b, c], y, x_) * mask[b, tap, row, column]
        result[b, :, row, column] += weight[:, c, tap // 3, tap % 3] * sample
    return result


def make_inputs(*, seed: int = 0, requires_grad: bool = False) -> list[Tensor]:
    """x, offset, mask, weight, bias in double precision; some taps are outside the map, positions are fractional."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(2, 3, 4, 5), (2, 18, 4, 5), (2, 9, 4, 5), (2, 3, 3, 3), (2,)]
    x, offset, mask, weight, bias = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    offset = (2 * offset).round() + 0.2 + 0.6 * torch.rand(offset.shape, generator=generator, dtype=torch.float64)
    return [value.requires_grad_(requires_grad) for value in (x, offset, mask.sigmoid(), weight, bias)]


@pytest.mark.slow
def test_it_equals_its_definition():
    inputs = make_inputs()

    torch.testing.assert_close(deform_conv2d(*inputs), convolve_slowly(*inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_its_gradients_equal_those_of_its_definition():
    inputs = make_inputs(seed=1, requires_grad=True)
    towards = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    found = torch.autograd.grad(deform_conv2d(*inputs), inputs, towards)
    x, offset, mask, weight, bias = inputs
    # The definition takes offsets as plain numbers; their gradient is checked by finite differences below.
    wanted = torch.autograd.grad(
        convolve_slowly(x, offset.detach(), mask, weight, bias), (x, mask, weight, bias), towards
    )

    for a, b in zip((found[0], *found[2:]), wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_its_gradients_equal_finite_differences():
    assert torch.autograd.gradcheck(deform_conv2d, make_inputs(seed=3, requires_grad=True))


def test_without_offsets_it_is_a_plain_convolution():
    x, offset, mask, weight, bias = make_inputs()

    moved = deform_conv2d(x, torch.zeros_like(offset), torch.ones_like(mask), weight, bias)

    torch.testing.assert_close(moved, F.conv2d(x, weight, bias, padding=1))


def test_a_whole_offset_moves_the_picture():
    x, offset, mask, weight, bias = make_inputs()
    down = torch.zeros_like(offset)
    down[:, 0::2] = 1.0

    moved = deform_conv2d(x, down, torch.ones_like(mask), weight, bias)

    torch.testing.assert_close(moved[:, :, :-1], F.conv2d(x, weight, bias, padding=1)[:, :, 1:])


def test_it_starts_as_half_a_plain_convolution():
    torch.manual_seed(0)
    layer = DeformConv2d(3, 4)
    x = torch.randn(1, 3, 6, 6)

    torch.testing.assert_close(layer(x), 0.5 * F.conv2d(x, layer.weight, padding=1))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_order_in_memory_changes_nothing(memory_format):
    torch.manual_seed(0)
    layer = DeformConv2d(8, 4)
    torch.nn.init.normal_(layer.conv_offset_mask.weight, std=0.2)
    x = torch.randn(2, 8, 6, 7)

    reordered = layer.to(memory_format=memory_format)(x.contiguous(memory_format=memory_format))

    torch.testing.assert_close(reordered, layer.to(memory_format=torch.contiguous_format)(x))


def test_under_autocast_positions_keep_their_precision():
    torch.manual_seed(0)
    layer = DeformConv2d(8, 4)
    torch.nn.init.normal_(layer.conv_offset_mask.weight, std=0.05)
    x = torch.randn(1, 8, 4, 300)  # bfloat16 cannot represent odd numbers above 256

    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(x)
        rough.float().sum().backward()

    assert rough.dtype == torch.bfloat16
    assert (rough - layer(x)).abs().mean() < 0.02 * layer(x).abs().mean()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_on_the_cpu_it_is_deterministic():
    inputs = [value.float().detach().requires_grad_() for value in make_inputs()]

    once, again = (torch.autograd.grad(deform_conv2d(*inputs).square().sum(), inputs) for _ in range(2))

    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def gradients(layer: Callable[[Tensor], Tensor], x: Tensor, weights: Iterable[Tensor] | None = None) -> list[Tensor]:
    """The gradients of the input and of every weight, by default the layer's, in float32."""
    weights = layer.parameters() if isinstance(layer, torch.nn.Module) and weights is None else weights
    x = x.clone().requires_grad_()
    result = layer(x)
    towards = torch.randn(result.shape, generator=torch.Generator().manual_seed(9))
    return [g.float() for g in torch.autograd.grad(result, [x, *weights], towards.to(result.dtype))]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("autocast", [True, False], ids=["autocast", "weights"])
def test_in_half_precision_its_gradients_are_those_of_float32_but_for_rounding(dtype, autocast):
    torch.manual_seed(0)
    layer, x = DeformConv2d(8, 4), torch.randn(2, 8, 6, 7)
    # So small that rounding moves no tap over a cell's centre, where the gradient of its offset jumps.
    torch.nn.init.normal_(layer.conv_offset_mask.weight, std=0.05)
    wanted = gradients(layer, x)

    if autocast:
        with torch.autocast("cpu", dtype):
            found = gradients(layer, x)
    else:
        found = gradients(layer.to(dtype), x.to(dtype))

    for rough, exact in zip(found, wanted, strict=True):
        assert (rough - exact).norm() < 0.01 * exact.norm()


def small_layer(*, seed: int) -> DeformConv2d:
    torch.manual_seed(seed)
    layer = DeformConv2d(8, 4)
    torch.nn.init.normal_(layer.conv_offset_mask.weight, std=0.2)
    return layer


def keep_the_samples(layer: DeformConv2d, x: Tensor) -> Tensor:
    """The layer without computing anything again."""
    offset, mask = layer.conv_offset_mask(x).split([18, 9], dim=1)
    return deform_conv2d(x, offset, mask.sigmoid(), layer.weight, layer.bias)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16], ids=["fp32", "bf16", "fp16"])
def test_what_it_computes_again_gives_the_same_bits(dtype):
    layer, x = small_layer(seed=4), torch.randn(2, 8, 6, 7)

    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        found = gradients(layer, x)
        wanted = gradients(lambda x: keep_the_samples(layer, x), x, layer.parameters())

    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_gradients_of_two_passes_add_up_to_the_same_bits():
    sums = []
    for way in (lambda layer, x: layer(x), keep_the_samples):
        layer = small_layer(seed=5)
        for seed in (6, 7):
            x = torch.randn(2, 8, 6, 7, generator=torch.Generator().manual_seed(seed))
            way(layer, x).square().sum().backward()
        sums.append([weight.grad for weight in layer.parameters()])

    assert all(torch.equal(a, b) for a, b in zip(*sums, strict=True))


def test_for_the_backward_pass_it_keeps_its_inputs_alone():
    layer, x = small_layer(seed=8), torch.randn(2, 8, 6, 7)

    kept, kept_otherwise = (
        saved_bytes(compute, layer) for compute in (lambda: layer(x), lambda: keep_the_samples(layer, x))
    )

    cells = 4 * 2 * 6 * 7  # bytes of a map of one channel
    assert kept == (8 + 27 + 9) * cells  # the input, offsets beside logits of the mask, and the mask
    assert kept_otherwise > 2 * 9 * 8 * cells  # samples before and after the mask


COMPILED = """
import sys, torch
from deepmark.model.backbones.deform import DeformConv2d

torch.manual_seed(0)
layer, x = DeformConv2d(8, 4), torch.randn(2, 8, 6, 7, requires_grad=True)
torch.nn.init.normal_(layer.conv_offset_mask.weight, std=0.2)
inputs = [x, *layer.parameters()]
plain, compiled = layer(x), torch.compile(layer, backend=sys.argv[1], fullgraph=True)(x)
torch.testing.assert_close(compiled, plain)
towards = torch.randn(plain.shape)
for found, wanted in zip(*(torch.autograd.grad(result, inputs, towards) for result in (compiled, plain)), strict=True):
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
print("equal")
"""
"""In a separate process: the shape checks, which only tests have, cannot be compiled."""

NO_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler: no g++ here")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=[pytest.mark.slow, NO_COMPILER])])
def test_compiled_it_is_one_graph_with_the_same_results_and_gradients(backend):
    command, environment = [sys.executable, "-c", COMPILED, backend], os.environ | SCALAR_KERNELS
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.stdout == "equal\n", done.stderr
