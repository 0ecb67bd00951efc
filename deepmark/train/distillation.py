"""What a smaller network learns from the maps of a larger one, its teacher, beside what it learns from the labels.

A teacher's maps say how sure it is, where labels say only yes or no: a hem that could lie in three cells, a skirt that
might be a dress.
Source: Fast Human Pose Estimation, 2019, section 3.3 (the mean squared difference of heatmaps, beside the loss of the
labels); Distilling the Knowledge in a Neural Network, 2015.
"""

import torch
from torch import Tensor

from deepmark.model.autocast import at_least_float32
from deepmark.model.heads import GatheredHeads
from deepmark.params import LossWeights
from deepmark.shapes import Float
from deepmark.train.loss_targets import LossTargets


def teacher_loss(
    heads: GatheredHeads,
    taught: GatheredHeads,
    targets: LossTargets,
    *,
    weights: LossWeights,
    counts: Float[Tensor, "2"],
) -> Float[Tensor, ""]:
    """How far maps are from those of the teacher, each head weighted as its loss by the labels is; without a unit.

    Of heatmaps it is the squared difference of probabilities, summed over all cells, of landmarks over the targets' own
    maps if they have such, and divided by the number of centres or landmarks. Of the others it is the L1 distance, in
    cells, at the centres and landmarks of the labels, as in `loss.losses`, where `counts` are explained.
    """
    garments, points = counts.clamp(min=1)
    channel = targets.landmarks.channel

    def vectors(of: GatheredHeads) -> Float[Tensor, "m 2"]:
        return of.landmark_vectors.unflatten(1, (-1, 2))[targets.landmark_garment, channel]

    maps = heads.landmark_heatmap, taught.landmark_heatmap
    if targets.own is not None:
        at = targets.own.image, targets.own.channel
        maps = maps[0][at], maps[1][at]
    parts = {
        "center_heatmap": _squared(heads.center_heatmap, taught.center_heatmap) / garments,
        "size": _l1(heads.size, taught.size) / (2 * garments),
        "center_offset": _l1(heads.center_offset, taught.center_offset) / (2 * garments),
        "landmark_heatmap": _squared(*maps) / points,
        "landmark_vectors": _l1(vectors(heads), vectors(taught)) / (2 * points),
        "landmark_offset": _l1(heads.landmark_offset, taught.landmark_offset) / (2 * points),
    }
    return torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum()


def _squared(logits: Tensor, others: Tensor) -> Float[Tensor, ""]:
    return (at_least_float32(logits).sigmoid() - at_least_float32(others).sigmoid()).square().sum()


def _l1(values: Float[Tensor, "k 2"], others: Float[Tensor, "k 2"]) -> Float[Tensor, ""]:
    return (at_least_float32(values) - at_least_float32(others)).abs().sum()
