"""Weights to start from: whatever of a file fits a network that was just built.

A head is taken whole or left whole: half of one, learned for other outputs, would be neither old nor new.
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
from deepmark.model.deform import TAPS
from deepmark.model.detector import Detector, read_detector

HEADS_AT_START = "heads_at_start"
"""The fact in a model's file that lists the heads which hold start values, nothing learned."""

_MASK = ".conv_offset_mask.bias"


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """What became of a network's tensors."""

    taken: list[str]
    left: list[str]
    """At their start values."""

    heads_taken: list[str]
    heads_left: list[str]
    """Heads by their path, such as heads.size."""

    @property
    def of_backbone(self) -> int:
        """How many tensors of the backbone were taken."""
        return sum(name.startswith("backbone.") for name in self.taken)


@torch.no_grad()
def fill(detector: Detector, weights: Mapping[str, Tensor], *, leave: Collection[str] = ()) -> Filled:
    """Copies every tensor whose name and shape fit, save the heads in `leave` and those that do not fit as a whole."""
    places = detector.state_dict()
    groups: dict[str, list[str]] = {}
    for name in places:
        groups.setdefault(_group(name), []).append(name)
    taken: list[str] = []
    left: list[str] = []
    for group, names in groups.items():
        fits = all(_fits(name, places[name], weights) for name in names)
        (taken if fits and group not in leave else left).append(group)
    for name in (name for group in taken for name in groups[group]):
        places[name].copy_(weights[name])
    return Filled(
        taken=[name for group in taken for name in groups[group]],
        left=[name for group in left for name in groups[group]],
        heads_taken=[group for group in taken if not group.startswith("backbone.")],
        heads_left=[group for group in left if not group.startswith("backbone.")],
    )


def _group(name: str) -> str:
    """What is taken together with a tensor: its head; a tensor of the backbone goes alone."""
    return name if name.startswith("backbone.") else name.rsplit(".", 2)[0]


def start_from(detector: Detector, path: Path) -> dict[str, Any]:
    """Fills a freshly built network from the file of another one, and says what was taken.

    The file is what `deepmark import-checkpoint` or a training wrote, also one with other landmark maps or without
    deformable convolutions. Heads that do not fit, or hold nothing learned, keep the detector's own start values. Mean
    and standard deviation of the pictures are taken over.

    Raises DeepmarkError where the file is missing, damaged, of another backbone, or fits nowhere in the backbone.
    """
    stored = read_detector(path)
    if stored.params.backbone != detector.params.backbone:
        raise DeepmarkError(
            f"{path}: weights of the backbone {stored.params.backbone}, but model.backbone is "
            f"{detector.params.backbone}. Change one of them, or set train.init to null."
        )
    weights = convert_deformable(stored.weights, to=detector.state_dict())
    # Looked at before anything is copied: a detector that is refused stays as it was.
    if not any(_fits(name, value, weights) for name, value in detector.backbone.state_dict(prefix="backbone.").items()):
        raise DeepmarkError(
            f"{path}: nothing in it fits the backbone {detector.params.backbone}. It was written by another version "
            "of DeepMark; import or train it again, or set train.init to null."
        )
    filled = fill(detector, weights, leave=json.loads(stored.facts.get(HEADS_AT_START, "[]")))
    detector.mean.copy_(torch.tensor(stored.mean))
    detector.std.copy_(torch.tensor(stored.std))
    return {
        "file": str(path),
        "sha256": file_sha256(path),
        "tensors_taken": len(filled.taken),
        "tensors_left": len(filled.left),
        "heads_taken": filled.heads_taken,
        "heads_left": filled.heads_left,
        "origin": stored.facts,
    }


def _fits(name: str, place: Tensor, weights: Mapping[str, Tensor]) -> bool:
    return name in weights and weights[name].shape == place.shape


def convert_deformable(weights: Mapping[str, Tensor], *, to: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights for a network whose convolutions are plain where theirs are deformable, or the other way round.

    A deformable tap counts as much as its mask says. A plain convolution gets each tap times the mask where the layer
    sees nothing, sigmoid(bias): half of it before training. A deformable one starts with masks of a half, and gets
    twice the plain weights. Where the layer moves its taps, that is lost, and a training learns it anew.
    """
    converted = dict(weights)
    here, there = ({name.removesuffix(_MASK) for name in names if name.endswith(_MASK)} for names in (weights, to))
    for layer in (layer for layer in here - there if f"{layer}.weight" in weights):
        mask = weights[f"{layer}{_MASK}"][2 * TAPS :].sigmoid()
        converted[f"{layer}.weight"] = weights[f"{layer}.weight"] * mask.view(3, 3)
    for layer in (layer for layer in there - here if f"{layer}.weight" in weights):
        converted[f"{layer}.weight"] = 2 * weights[f"{layer}.weight"]
    return converted
