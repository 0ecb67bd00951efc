"""The six losses, one per head, those that params.yaml adds to them, and their weighted sum.

Heatmaps have a penalty-reduced focal loss, the other heads the L1 distance at the targets. No dense target maps are
built for the landmarks, 294 in DeepFashion2: the focal loss is that of empty maps, corrected at the cells that
Gaussians cover.

Source: Objects as Points, 2019, sections 3 and 4; DeepMark, 2019, section 3.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from deepmark.model.autocast import at_least_float32
from deepmark.model.heads import GatheredHeads, HeadMaps
from deepmark.params import LossWeights
from deepmark.shapes import Float, Int64
from deepmark.train.distillation import teacher_loss
from deepmark.train.gaussians import DrawnCells, draw_cells
from deepmark.train.loss_targets import LossTargets, OwnMaps
from deepmark.train.overlap_loss import diou_loss, giou_loss, oks_loss


@dataclass(frozen=True, kw_only=True, slots=True)
class Losses:
    """The loss of each head, before weighting, and the weighted total that training minimises."""

    total: Float[Tensor, ""]
    center_heatmap: Float[Tensor, ""]
    size: Float[Tensor, ""]
    center_offset: Float[Tensor, ""]
    landmark_heatmap: Float[Tensor, ""]
    landmark_vectors: Float[Tensor, ""]
    landmark_offset: Float[Tensor, ""]

    box_giou: Float[Tensor, ""] | None = None
    box_diou: Float[Tensor, ""] | None = None
    landmark_vectors_oks: Float[Tensor, ""] | None = None
    landmark_offset_oks: Float[Tensor, ""] | None = None
    """Those of `overlap_loss`; None where their weight is 0."""

    teacher: Float[Tensor, ""] | None = None
    """That of `distillation`; None without a teacher."""

    @property
    def parts(self) -> dict[str, Float[Tensor, ""]]:
        """Every loss that there is, by its name, the total first."""
        found = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: loss for name, loss in found.items() if loss is not None}


def loss_names(weights: LossWeights) -> tuple[str, ...]:
    """The names of `Losses.parts` with these weights: the total, the six heads', and those that are added."""
    names = [part.name for part in fields(Losses)]
    added = [part.name for part in fields(Losses) if part.default is None]
    return tuple(name for name in names if name not in added or getattr(weights, name))


def losses(
    maps: HeadMaps | GatheredHeads,
    targets: LossTargets,
    *,
    weights: LossWeights,
    counts: Float[Tensor, "2"],
    taught: GatheredHeads | None = None,
) -> Losses:
    """The losses of a batch, in float32 whatever the precision of the maps, which have the layout of the targets.

    `counts` are the numbers of centres and of labelled landmarks to divide by: `targets.counts` summed over processes,
    so that the sum of the processes' losses is the loss of the whole batch. `taught` is what a teacher sees in the same
    images.
    """
    centers, landmarks = targets.centers, targets.landmarks
    heads = maps.gather_at(*targets.cells) if isinstance(maps, HeadMaps) else maps
    vectors = heads.landmark_vectors.unflatten(1, (-1, 2))[targets.landmark_garment, landmarks.channel]
    garments, points = counts.clamp(min=1)

    center_cells = draw_cells(centers, targets.maps[1:], targets.center_numbers)
    landmark_cells = draw_cells(landmarks, targets.maps[1:], targets.landmark_numbers)
    parts = {
        "center_heatmap": focal_loss(heads.center_heatmap, center_cells) / garments,
        "size": _l1(heads.size, targets.sizes) / (2 * garments),
        "center_offset": _l1(heads.center_offset, centers.offset) / (2 * garments),
        "landmark_heatmap": focal_loss(heads.landmark_heatmap, landmark_cells, own=targets.own) / points,
        "landmark_vectors": _l1(vectors, targets.landmark_vectors) / (2 * points),
        "landmark_offset": _l1(heads.landmark_offset, landmarks.offset) / (2 * points),
    }
    parts |= _overlap_losses(heads, vectors, targets, weights, counts)
    if taught is not None:
        parts["teacher"] = teacher_loss(heads, taught, targets, weights=weights, counts=counts)
    return Losses(total=sum(getattr(weights, name) * part for name, part in parts.items()), **parts)


def _overlap_losses(
    heads: GatheredHeads, vectors: Tensor, targets: LossTargets, weights: LossWeights, counts: Float[Tensor, "2"]
) -> dict[str, Float[Tensor, ""]]:
    """Those that are asked for: of boxes divided by the number of centres, of landmarks by that of landmarks."""
    garments, points = counts.clamp(min=1)
    centers, landmarks = targets.centers, targets.landmarks
    boxes = (*map(at_least_float32, (heads.center_offset, heads.size)), centers.offset, targets.sizes)
    areas = targets.sizes[targets.landmark_garment]
    parts = {}
    if weights.box_giou:
        parts["box_giou"] = giou_loss(*boxes).sum() / garments
    if weights.box_diou:
        parts["box_diou"] = diou_loss(*boxes).sum() / garments
    if weights.landmark_vectors_oks:
        apart = at_least_float32(vectors) - targets.landmark_vectors
        parts["landmark_vectors_oks"] = oks_loss(apart, targets.landmark_sigmas.to(apart.dtype), areas).sum() / points
    if weights.landmark_offset_oks:
        apart = at_least_float32(heads.landmark_offset) - landmarks.offset
        parts["landmark_offset_oks"] = oks_loss(apart, targets.landmark_sigmas.to(apart.dtype), areas).sum() / points
    return parts


def mean_losses(stacks: Iterable[Losses]) -> Losses:
    """The mean over the stacks of a network, which all have the same targets."""
    stacks = list(stacks)
    return Losses(**{name: torch.stack([stack.parts[name] for stack in stacks]).mean() for name in stacks[0].parts})


def _l1(predicted: Float[Tensor, "k 2"], target: Float[Tensor, "k 2"]) -> Float[Tensor, ""]:
    return (at_least_float32(predicted) - target).abs().sum()


def focal_loss(logits: Float[Tensor, "b c h w"], cells: DrawnCells, *, own: OwnMaps | None = None) -> Float[Tensor, ""]:
    """The penalty-reduced focal loss, summed over all cells of all maps, or of `own` maps, on which all drawn cells lie
    then; not yet divided by the number of peaks.

    Source: Objects as Points, 2019, equation 1, with alpha 2 and beta 4.
    """
    index: tuple[Tensor, ...] = (cells.image, cells.channel, cells.y, cells.x)
    if own is not None:
        logits = logits[own.image, own.channel]
        index = (own.number[cells.image, cells.channel], cells.y, cells.x)
    index, value = _merge(index, cells, logits.shape)
    return _FocalSum.apply(at_least_float32(logits), value, *index)


def _merge(
    index: tuple[Int64[Tensor, " d"], ...], cells: DrawnCells, shape: torch.Size
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Every cell once, in the order of memory, with the largest value that was drawn on it.

    `unique` would find the same, but a device has to be asked how many it found.
    """
    flat = index[0]
    for axis, length in zip(index[1:], shape[1:], strict=True):
        flat = flat * length + axis
    flat, order = flat.sort()
    place = F.pad((flat[1:] != flat[:-1]).cumsum(0), (1, 0))[: len(flat)]
    distinct = flat.new_empty(cells.distinct).scatter_(0, place, flat)
    value = cells.value.new_zeros(cells.distinct).scatter_reduce_(0, place, cells.value[order], "amax")
    places = []
    for length in reversed(shape[1:]):
        places.append(distinct % length)
        distinct = distinct // length
    return (distinct, *reversed(places)), value


class _FocalSum(torch.autograd.Function):
    """The focal loss of maps that should be 0 everywhere except in the given cells, each listed once with its value.

    Its derivative is written out, because autograd would keep five tensors of the size of all maps. It is computed
    beside the loss: both need the same sigmoid and softplus of every cell, which are most of the work.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, value: Tensor, *index: Tensor) -> Tensor:
        drawn = logits[index]
        wanted = torch.where(value == 1, _empty(-drawn), (1 - value) ** 4 * _empty(drawn))
        p, softplus = torch.sigmoid(logits), F.softplus(logits)
        total = (p.square() * softplus).sum() + (wanted - _empty(drawn)).sum()
        if ctx.needs_input_grad[0]:
            slope = _slope_from(p, softplus)
            slope[index] = torch.where(value == 1, -_empty_slope(-drawn), (1 - value) ** 4 * _empty_slope(drawn))
            ctx.save_for_backward(slope)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * gradient, *[None for _ in ctx.needs_input_grad[1:]]


def _empty(logits: Tensor) -> Tensor:
    """-log(1 - p) p^2: the loss of a cell that should be 0; of one that should be 1, with the logit negated."""
    return torch.sigmoid(logits).square_().mul_(F.softplus(logits))


def _empty_slope(logits: Tensor) -> Tensor:
    """The derivative of `_empty`: p^2 (p - 2 (1 - p) log(1 - p))."""
    return _slope_from(torch.sigmoid(logits), F.softplus(logits))


def _slope_from(p: Tensor, softplus: Tensor) -> Tensor:
    """The same from the probability and the softplus of the logits, in the memory of the latter."""
    return softplus.mul_(2 * (1 - p)).add_(p).mul_(p).mul_(p)
