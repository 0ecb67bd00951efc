"""Import of CenterNet's published checkpoints as models of DeepMark.

Backbones have the same names and shapes. Three things differ: CenterNet's images have the channels B, G, R, its heads
have other names, and those for COCO have other categories. In a pose checkpoint (whose shapes match if it was trained
on the 294 landmarks) vectors begin at the corner of the centre's cell, and here at the centre itself: training has to
correct them by up to a cell.

Source: Objects as Points, 2019, and the checkpoints of its authors.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.model.backbones.hourglass import STACKS
from deepmark.model.detector import MEAN, STD, Detector, build_detector, save_detector
from deepmark.model.init_weights import UNTRAINED_HEADS, load_matching
from deepmark.model.torch_checkpoint import read_checkpoint
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2

HEADS = {
    "hm": "center_heatmap",
    "wh": "size",
    "reg": "center_offset",
    "hps": "landmark_vectors",
    "hm_hp": "landmark_heatmap",
    "hp_offset": "landmark_offset",
}
"""CenterNet's names of the heads, and ours."""

BACKBONES = {"dla34": "dla_up.", "hourglass104": "kps."}
"""Networks that CenterNet published weights of, each with the prefix of some of its tensors."""

_FIRST = {"dla34": "backbone.base.base_layer.0.weight", "hourglass104": "backbone.pre.0.conv.weight"}
"""The convolution whose input is the image."""

_LAYERS_WITHOUT_EFFECT = ("base.fc.", "base.level3.project.", "base.level4.project.")
"""Layers of DLA-34 that are in the files and that no image passes through."""


def import_checkpoint(file: Path, out: Path, params: ModelParams) -> dict[str, Any]:
    """Write a model with the weights of a published checkpoint; returns what was taken and what was left.

    The model takes RGB images, normalised by the mean and deviation that are stored with it. Heads that do not match,
    such as the one of 80 categories, hold start values, which are always the same.

    The model is one of DeepFashion2, as heads for other garments are; a training for another vocabulary takes all but
    the heads whose channels stand for categories and landmarks.

    Raises DeepmarkError, and writes nothing, where the file is missing, damaged, contains code, or lacks tensors of the
    backbone of `params`.
    """
    if out.is_dir():
        raise DeepmarkError(f"{out}: a folder. Give --out the name of a file, such as {out / file.stem}.safetensors.")
    published = read_checkpoint(file)
    _check_backbone(file, published, params.backbone)
    weights = {_our_name(key, params.backbone): value for key, value in published.items()}
    detector = build_detector(params, DEEPFASHION2, seed=0)
    _check_tensors(file, weights, detector)
    first = _FIRST[params.backbone]
    weights[first] = weights[first].flip(1)
    report = load_matching(detector, weights)
    detector.mean.copy_(torch.tensor(MEAN))
    detector.std.copy_(torch.tensor(STD))
    origin = {"source": file.name, "source_sha256": file_sha256(file)}
    save_detector(detector, out, facts={**origin, UNTRAINED_HEADS: json.dumps(report.heads_left)})
    return {
        **origin,
        "backbone": params.backbone,
        "tensors_taken": len(report.taken),
        "backbone_tensors_taken": report.backbone_taken,
        "heads_taken": report.heads_taken,
        "left": _why_left(report.heads_left, weights, detector) | _unused(weights, detector),
        "out": str(out),
    }


def _check_backbone(file: Path, published: Mapping[str, Tensor], backbone: str) -> None:
    kinds = [kind for kind, beginning in BACKBONES.items() if any(key.startswith(beginning) for key in published)]
    if kinds and backbone not in kinds:
        raise DeepmarkError(f"{file}: weights of {kinds[0]}, not of {backbone}. Give --backbone {kinds[0]}.")
    if not kinds:
        raise DeepmarkError(
            f"{file}: weights of neither of CenterNet's networks {' and '.join(BACKBONES)}; its first tensor is "
            f"'{next(iter(published))}'. Give ctdet_coco_dla_2x.pth, ctdet_coco_hg.pth, or one of their layout."
        )


def _our_name(key: str, backbone: str) -> str:
    """The name of a tensor in our model; where our model lacks it, a name that no tensor of ours has."""
    head, _, layer = key.partition(".")
    if head not in HEADS:
        return f"backbone.{key}"
    if backbone == "dla34":
        return f"heads.{HEADS[head]}.{layer}"
    stack, _, layer = layer.partition(".")
    ours = {"0.conv": "0", "1": "2"}.get(layer.rpartition(".")[0], layer)
    heads = "heads" if stack == str(STACKS - 1) else f"earlier_heads.{stack}"
    return f"{heads}.{HEADS[head]}.{ours}.{layer.rpartition('.')[2]}"


def _check_tensors(file: Path, weights: Mapping[str, Tensor], detector: Detector) -> None:
    """Check that every tensor of the backbone is there with its shape, and that no head is there in part.

    Raises DeepmarkError naming the tensor.
    """
    own = detector.state_dict()
    begun = {name.rsplit(".", 2)[0] for name in weights if not name.startswith("backbone.")}
    missing = [
        name
        for name in own
        if name not in weights and (name.startswith("backbone.") or name.rsplit(".", 2)[0] in begun)
    ]
    if missing:
        raise DeepmarkError(
            f"{file}: {len(missing)} of the network's tensors are missing, the first being '{_bare(missing[0])}'. "
            "It is cut, or of another network than CenterNet's: download it again."
        )
    for name, tensor in own.items():
        if name.startswith("backbone.") and weights[name].shape != tensor.shape:
            raise DeepmarkError(
                f"{file}: '{_bare(name)}' has the shape {list(weights[name].shape)}, {list(tensor.shape)} is needed: "
                "weights of another network than CenterNet's."
            )


def _bare(name: str) -> str:
    return name.removeprefix("backbone.")


def _why_left(heads: list[str], weights: Mapping[str, Tensor], detector: Detector) -> dict[str, str]:
    reasons = {}
    theirs = {ours: name for name, ours in HEADS.items()}
    for head in heads:
        own, given = detector.state_dict()[f"{head}.2.weight"], weights.get(f"{head}.2.weight")
        name = head.rpartition(".")[2]
        if given is None:
            why = f"no {theirs[name]} in the file"
        elif len(given) != len(own):
            why = f"{theirs[name]} has {len(given)} channels, {len(own)} are needed"
        else:
            why = f"{theirs[name]} has another shape inside"
        reasons[head] = f"at its start values: {why}"
    return reasons


def _unused(weights: Mapping[str, Tensor], detector: Detector) -> dict[str, str]:
    """Why tensors of the file are not used, by the name of their layer."""
    unmatched = [_bare(name) for name in weights.keys() - detector.state_dict().keys()]
    layers = {name.rpartition(".")[0]: name.startswith(_LAYERS_WITHOUT_EFFECT) for name in sorted(unmatched)}
    return {
        layer: "not needed: no image passes it" if known else "not needed: no place in this network"
        for layer, known in layers.items()
    }
