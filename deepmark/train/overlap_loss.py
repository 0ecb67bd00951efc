"""Losses that follow the metric's own overlaps: of boxes (GIoU, DIoU), and of landmarks (OKS).

The L1 distance of a box costs the same for a small garment as for a large one, and that of a landmark the same for a
collar as for a hem; the metric divides by the garment's size, and by how precisely people place each landmark.
"""

import torch
from torch import Tensor

from deepmark.shapes import Float

_LEAST_AREA = 1e-6
"""Cells squared: keeps quotients of empty boxes finite."""


def giou_loss(
    offsets: Float[Tensor, "n 2"],
    sizes: Float[Tensor, "n 2"],
    wanted_offsets: Float[Tensor, "n 2"],
    wanted_sizes: Float[Tensor, "n 2"],
) -> Float[Tensor, " n"]:
    """1 - GIoU of boxes given by their middles and sizes, 0..2 without a unit: 0 where they are equal, above 1 where
    they are apart.

    Middles are in cells from any point that both share, such as the corner of a cell; sizes are width and height in
    cells, below 0 counting as 0.
    Source: Generalized Intersection over Union, 2019, section 3 and algorithm 1.
    """
    intersection, union, hull = _areas(_corners(offsets, sizes), _corners(wanted_offsets, wanted_sizes))
    hull_area = hull.prod(dim=1).clamp(min=_LEAST_AREA)
    return 1 - intersection / union + (hull_area - union) / hull_area


def diou_loss(
    offsets: Float[Tensor, "n 2"],
    sizes: Float[Tensor, "n 2"],
    wanted_offsets: Float[Tensor, "n 2"],
    wanted_sizes: Float[Tensor, "n 2"],
) -> Float[Tensor, " n"]:
    """1 - DIoU of boxes as those of `giou_loss`, 0..2 without a unit: beside the overlap it is the distance of the
    middles, squared, that counts, as a share of the squared diagonal of the box around both.

    Source: Distance-IoU Loss, 2020, section 3, equations 6 and 7.
    """
    intersection, union, hull = _areas(_corners(offsets, sizes), _corners(wanted_offsets, wanted_sizes))
    apart = (offsets - wanted_offsets).square().sum(dim=1)
    return 1 - intersection / union + apart / hull.square().sum(dim=1).clamp(min=_LEAST_AREA)


def oks_loss(
    apart: Float[Tensor, "m 2"], sigmas: Float[Tensor, " m"], sizes: Float[Tensor, "m 2"]
) -> Float[Tensor, " m"]:
    """1 - exp(-d^2 / (2 a (2 sigma)^2)) of landmarks that are `apart` from where they should be, x and y in cells: what
    each lacks of the similarity 1, 0..1 without a unit.

    `sigmas` are those of OKS. `sizes` are width and height in cells of the garments' boxes and give the area a; boxes
    smaller than a cell count as one.
    Source: YOLO-Pose, 2022, section 3.4, which takes the mean over the landmarks of each person; sigmas and area are
    those of the metric.
    """
    area = sizes.prod(dim=1).clamp(min=1)
    return -torch.expm1(-apart.square().sum(dim=1) / (2 * area * (2 * sigmas).square()))


def _corners(middles: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    half = sizes.clamp(min=0) / 2
    return middles - half, middles + half


def _areas(
    a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, "n 2"]]:
    """The intersection and the union of boxes, cells squared, and the sides of the smallest box around both, cells."""
    intersection = (torch.minimum(a[1], b[1]) - torch.maximum(a[0], b[0])).clamp(min=0).prod(dim=1)
    union = (a[1] - a[0]).prod(dim=1) + (b[1] - b[0]).prod(dim=1) - intersection
    hull = torch.maximum(a[1], b[1]) - torch.minimum(a[0], b[0])
    return intersection, union.clamp(min=_LEAST_AREA), hull
