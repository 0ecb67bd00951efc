"""Initial weights: the tensors of a model file that fit a newly built network.

A head is taken as a whole or not at all: one half from the file and one half untrained would be of no use.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.model.backbones.deform import TAPS
from deepmark.model.detector import Detector, read_detector

UNTRAINED_HEADS = "heads_at_start"
"""The fact in a model file that lists the heads which are untrained and hold their start values."""

_MASK = ".conv_offset_mask.bias"

_OF_A_VOCABULARY = ("center_heatmap", "landmark_vectors", "landmark_heatmap")
"""Heads of which each channel stands for a category or a landmark."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadReport:
    """Which tensors of a network were loaded."""

    taken: list[str]
    left: list[str]
    """These keep their start values."""

    heads_taken: list[str]
    heads_left: list[str]
    """Heads by their path, such as heads.size."""

    @property
    def backbone_taken(self) -> int:
        """The number of tensors of the backbone that were taken."""
        return sum(name.startswith("backbone.") for name in self.taken)


@torch.no_grad()
def load_matching(detector: Detector, weights: Mapping[str, Tensor], *, skip: Collection[str] = ()) -> LoadReport:
    """Copy every tensor whose name and shape match, except the heads in `skip` and heads that match only in part."""
    own = detector.state_dict()
    groups: dict[str, list[str]] = {}
    for name in own:
        groups.setdefault(_group(name), []).append(name)
    taken: list[str] = []
    left: list[str] = []
    for group, names in groups.items():
        fits = all(_fits(name, own[name], weights) for name in names)
        (taken if fits and group not in skip else left).append(group)
    for name in (name for group in taken for name in groups[group]):
        own[name].copy_(weights[name])
    return LoadReport(
        taken=[name for group in taken for name in groups[group]],
        left=[name for group in left for name in groups[group]],
        heads_taken=[group for group in taken if not group.startswith("backbone.")],
        heads_left=[group for group in left if not group.startswith("backbone.")],
    )


def _group(name: str) -> str:
    """The name of what is taken together with a tensor: its head; a tensor of the backbone is taken by itself."""
    return name if name.startswith("backbone.") else name.rsplit(".", 2)[0]


def start_from(detector: Detector, path: Path) -> dict[str, Any]:
    """Load matching weights from another model's file into a newly built network; returns what was taken.

    The file comes from `deepmark import-checkpoint` or from a training, which may have had other landmark maps or plain
    convolutions. Heads that do not match or are untrained in the file keep the detector's own start values, and so do,
    where it was trained for another vocabulary, those whose channels stand for categories and landmarks. Mean and
    standard deviation of the images are taken over.

    Raises DeepmarkError where the file is missing, damaged, of another backbone, or fits nowhere in the backbone.
    """
    stored = read_detector(path)
    if stored.params.backbone != detector.params.backbone:
        raise DeepmarkError(
            f"{path}: weights of the backbone {stored.params.backbone}, but model.backbone is "
            f"{detector.params.backbone}. Change one of them, or set train.init to null."
        )
    weights = convert_deformable(stored.weights, to=detector.state_dict())
    # Checked before anything is copied: a detector that is refused stays unchanged.
    if not any(_fits(name, value, weights) for name, value in detector.backbone.state_dict(prefix="backbone.").items()):
        raise DeepmarkError(
            f"{path}: nothing in it fits the backbone {detector.params.backbone}. It was written by another version "
            "of DeepMark; import or train it again, or set train.init to null."
        )
    skip = set(json.loads(stored.facts.get(UNTRAINED_HEADS, "[]")))
    if stored.vocabulary != detector.vocabulary:
        groups = map(_group, detector.state_dict())
        skip |= {group for group in groups if group.rpartition(".")[2] in _OF_A_VOCABULARY}
    report = load_matching(detector, weights, skip=skip)
    detector.mean.copy_(torch.tensor(stored.mean))
    detector.std.copy_(torch.tensor(stored.std))
    return {
        "file": str(path),
        "sha256": file_sha256(path),
        "tensors_taken": len(report.taken),
        "tensors_left": len(report.left),
        "heads_taken": report.heads_taken,
        "heads_left": report.heads_left,
        "origin": stored.facts,
        "vocabulary": stored.vocabulary.name,
    }


def _fits(name: str, tensor: Tensor, weights: Mapping[str, Tensor]) -> bool:
    return name in weights and weights[name].shape == tensor.shape


def convert_deformable(weights: Mapping[str, Tensor], *, to: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights for a network that has plain convolutions where theirs are deformable, or the other way round.

    A deformable tap is weighted by its mask. A plain convolution gets each tap times the mask for empty input,
    sigmoid(bias): one half before training. A deformable one starts with masks of one half, and gets twice the plain
    weights. Learned offsets of the taps are lost, and training has to learn them again.
    """
    converted = dict(weights)
    here, there = ({name.removesuffix(_MASK) for name in names if name.endswith(_MASK)} for names in (weights, to))
    for layer in (layer for layer in here - there if f"{layer}.weight" in weights):
        mask = weights[f"{layer}{_MASK}"][2 * TAPS :].sigmoid()
        converted[f"{layer}.weight"] = weights[f"{layer}.weight"] * mask.view(3, 3)
    for layer in (layer for layer in there - here if f"{layer}.weight" in weights):
        converted[f"{layer}.weight"] = 2 * weights[f"{layer}.weight"]
    return converted
