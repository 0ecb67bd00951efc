"""Batch normalisation over the images of all processes, on any device and backend of torch.distributed.

torch's own SyncBatchNorm works on GPUs only, so no CPU could show that it equals one process on the whole batch.

Source: Batch Normalization, 2015, algorithms 1 and 2; over processes as in MegDet, 2017, section 3.2.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch import distributed as dist

from deepmark.model.autocast import at_least_float32
from deepmark.shapes import Float

_MAPS = (0, 2, 3)
"""The axes that statistics are taken over: images, rows and columns."""


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that learns from the maps of all processes, as one process would from the whole batch.

    All processes must call it equally often, each with at least one image; their numbers of images may differ. In eval
    mode it is a plain one.
    """

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if not self.training:
            return super().forward(x)
        mean, variance, count = _statistics(x.detach())
        self._keep_running(mean, variance * count / (count - 1))
        mean, variance, count = (each.to(self.weight.dtype) for each in (mean, variance, count))
        return _Normalize.apply(x, self.weight, self.bias, mean, variance, count, self.eps)

    @torch.no_grad()
    def _keep_running(self, mean: Tensor, variance: Tensor) -> None:
        """Let the statistics for eval mode follow; `variance` is the unbiased one, as in torch."""
        cast(Tensor, self.num_batches_tracked).add_(1)
        for running, value in ((self.running_mean, mean), (self.running_var, variance)):
            assert running is not None
            assert self.momentum is not None
            running.lerp_(value.to(running.dtype), self.momentum)


@torch.no_grad()
def _statistics(x: Float[Tensor, "b c h w"]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance of each channel over the maps of all processes, and the number of their cells; float64.

    They are put together from the processes' own means and variances, because a difference of sums of squares would
    lose digits; every process adds in the same order.
    """
    variance, mean = (each.double() for each in torch.var_mean(at_least_float32(x), dim=_MAPS, correction=0))
    own = torch.cat([mean, variance, mean.new_full((1,), x.numel() / x.shape[1])])
    every = own.new_empty(dist.get_world_size() * len(own))
    dist.all_gather_single(every, own)
    means, variances, counts = every.view(-1, len(own)).split([len(mean), len(mean), 1], dim=1)
    count = counts.sum()
    mean = (counts * means).sum(dim=0) / count
    return mean, (counts * (variances + (means - mean) ** 2)).sum(dim=0) / count, count


class _Normalize(torch.autograd.Function):
    """Normalises with the statistics of all processes; its derivative goes through these, too."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, count: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt(), count)
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, count = ctx.saved_tensors
        fine = at_least_float32(gradient)
        normal = (at_least_float32(x) - mean[:, None, None]) * scale[:, None, None]
        own = torch.stack([fine.sum(dim=_MAPS), (fine * normal).sum(dim=_MAPS)])
        every = own.clone()
        dist.all_reduce(every)
        shift, slope = (every / count)[:, :, None, None]
        towards_x = (fine - shift - normal * slope) * (weight * scale)[:, None, None]
        # weight and bias get this process's share, as all other weights do
        return towards_x.to(x.dtype), own[1].to(weight.dtype), own[0].to(weight.dtype), None, None, None, None


def sync_batch_norm(network: nn.Module) -> None:
    """Make every batch normalisation of a network one over all processes; weights and their names stay the same."""
    for name, module in list(network.named_modules()):
        if type(module) is nn.BatchNorm2d:
            synced = SyncBatchNorm2d(module.num_features, eps=module.eps, momentum=module.momentum)
            for own, tensor in (*module.named_parameters(), *module.named_buffers()):
                setattr(synced, own, tensor)
            network.set_submodule(name, synced)
