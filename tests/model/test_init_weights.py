"""A training starts with all weights of another model that match, and with no others."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from vocabularies import MANY, SMALL

from deepmark.errors import DeepmarkError
from deepmark.model.backbones.deform import DeformConv2d
from deepmark.model.detector import Detector, build_detector, save_detector
from deepmark.model.heads import Head
from deepmark.model.init_weights import start_from
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2

MOBILE = ModelParams(backbone="mobile", input_size=(64, 96))
DLA34 = ModelParams(backbone="dla34", input_size=(64, 96))
PLAIN = ModelParams(backbone="dla34", input_size=(64, 96), deformable=False)


def saved(detector: Detector, folder, **facts: str):
    save_detector(detector, folder / "init.safetensors", facts=facts)
    return folder / "init.safetensors"


def test_everything_is_taken_from_a_model_of_the_same_shape(tmp_path):
    old, new = build_detector(MOBILE, DEEPFASHION2, seed=1), build_detector(MOBILE, DEEPFASHION2, seed=2)
    old.mean.fill_(0.25)
    old.std.fill_(0.5)

    facts = start_from(new, saved(old, tmp_path, source="ctdet.pth"))

    assert all(torch.equal(value, old.state_dict()[name]) for name, value in new.state_dict().items())
    assert (new.mean.tolist(), new.std.tolist()) == ([0.25] * 3, [0.5] * 3)
    assert (facts["tensors_taken"], facts["tensors_left"]) == (len(old.state_dict()), 0)
    assert facts["heads_left"] == []
    assert facts["origin"] == {"source": "ctdet.pth"}


def test_what_the_network_learns_with_stays_where_it_lies(tmp_path):
    new = build_detector(MOBILE, DEEPFASHION2, seed=2)
    before = {name: (value.data_ptr(), value.stride()) for name, value in new.state_dict().items()}

    start_from(new, saved(build_detector(MOBILE, DEEPFASHION2, seed=1), tmp_path))

    assert {name: (value.data_ptr(), value.stride()) for name, value in new.state_dict().items()} == before


def test_from_a_model_of_another_vocabulary_everything_is_taken_but_the_heads_of_categories_and_landmarks(tmp_path):
    """Even where they have as many channels: what those stand for is another thing."""
    renamed = replace(SMALL, categories=tuple(replace(one, name=f"{one.name} two") for one in SMALL.categories))
    old, new = build_detector(MOBILE, renamed, seed=1), build_detector(MOBILE, SMALL, seed=2)

    facts = start_from(new, saved(old, tmp_path))

    heads = ("center_heatmap", "landmark_vectors", "landmark_heatmap")
    assert facts["heads_left"] == [f"heads.{name}" for name in heads]
    assert (facts["vocabulary"], facts["tensors_left"]) == ("accessories", 12)
    assert torch.equal(new.heads.size[2].weight, old.heads.size[2].weight)
    assert not torch.equal(new.heads.center_heatmap[0].weight, old.heads.center_heatmap[0].weight)


def test_weights_of_deepfashion2_may_start_a_training_of_other_garments(tmp_path):
    facts = start_from(
        build_detector(MOBILE, MANY, seed=2), saved(build_detector(MOBILE, DEEPFASHION2, seed=1), tmp_path)
    )

    assert facts["heads_taken"] == ["heads.size", "heads.center_offset", "heads.landmark_offset"]


def test_a_head_for_other_outputs_is_left_whole(tmp_path):
    old, new = build_detector(MOBILE, DEEPFASHION2, seed=1), build_detector(MOBILE, DEEPFASHION2, seed=2)
    old.heads.landmark_heatmap = Head(48, 64, 81)
    start = {name: value.clone() for name, value in new.heads.landmark_heatmap.state_dict().items()}

    facts = start_from(new, saved(old, tmp_path))

    assert facts["heads_left"] == ["heads.landmark_heatmap"]
    assert facts["tensors_left"] == 4
    assert all(torch.equal(value, start[name]) for name, value in new.heads.landmark_heatmap.state_dict().items())
    assert torch.equal(new.heads.size[0].weight, old.heads.size[0].weight)


def test_heads_that_hold_nothing_learned_are_left(tmp_path):
    old, new = build_detector(MOBILE, DEEPFASHION2, seed=1), build_detector(MOBILE, DEEPFASHION2, seed=2)
    start = new.heads.size[0].weight.clone()

    facts = start_from(new, saved(old, tmp_path, heads_at_start=json.dumps(["heads.size"])))

    assert facts["heads_left"] == ["heads.size"]
    assert torch.equal(new.heads.size[0].weight, start)


def test_tensors_of_the_backbone_that_do_not_fit_are_left_one_by_one(tmp_path):
    old, new = build_detector(MOBILE, DEEPFASHION2, seed=1), build_detector(MOBILE, DEEPFASHION2, seed=2)
    old.backbone.stem[0].weight = torch.nn.Parameter(torch.zeros(16, 3, 5, 5))
    start = new.backbone.stem[0].weight.clone()

    facts = start_from(new, saved(old, tmp_path))

    assert facts["tensors_left"] == 1
    assert torch.equal(new.backbone.stem[0].weight, start)
    assert torch.equal(new.backbone.stem[3].weight, old.backbone.stem[3].weight)


def layer_pair(old: Detector, new: Detector):
    """The same layer of two networks, deformable in one of them."""
    name = next(name for name, layer in (*old.named_modules(), *new.named_modules()) if type(layer) is DeformConv2d)
    return old.get_submodule(name), new.get_submodule(name)


@pytest.mark.slow
def test_a_plain_convolution_starts_as_the_deformable_one_where_that_sees_nothing(tmp_path):
    old, new = build_detector(DLA34, DEEPFASHION2, seed=1), build_detector(PLAIN, DEEPFASHION2, seed=2)
    for layer in old.modules():
        if isinstance(layer, DeformConv2d):
            torch.nn.init.normal_(layer.conv_offset_mask.bias[18:])  # each tap has another weight
            torch.nn.init.normal_(layer.bias)

    facts = start_from(new, saved(old, tmp_path))

    deformable, plain = layer_pair(old, new)
    x = torch.randn(1, plain.in_channels, 5, 6)
    torch.testing.assert_close(plain(x), deformable(x))
    assert facts["tensors_left"] == 0


@pytest.mark.slow
def test_a_deformable_convolution_starts_as_the_plain_one(tmp_path):
    old, new = build_detector(PLAIN, DEEPFASHION2, seed=1), build_detector(DLA34, DEEPFASHION2, seed=2)

    facts = start_from(new, saved(old, tmp_path))

    plain, deformable = layer_pair(old, new)
    x = torch.randn(1, plain.in_channels, 5, 6)
    torch.testing.assert_close(deformable(x), F.conv2d(x, plain.weight, plain.bias, padding=1))
    assert facts["tensors_left"] == 2 * 16  # the offset layers, whose start values are zero


@pytest.mark.slow
def test_another_backbone_is_refused_and_nothing_changes(tmp_path):
    new = build_detector(MOBILE, DEEPFASHION2, seed=2)
    before = {name: value.clone() for name, value in new.state_dict().items()}

    with pytest.raises(DeepmarkError, match=r"init\.safetensors: weights of the backbone dla34.*is mobile"):
        start_from(new, saved(build_detector(DLA34, DEEPFASHION2, seed=1), tmp_path))

    assert all(torch.equal(value, before[name]) for name, value in new.state_dict().items())


def test_a_file_of_which_nothing_fits_the_backbone_is_refused(tmp_path):
    old, new = build_detector(MOBILE, DEEPFASHION2, seed=1), build_detector(MOBILE, DEEPFASHION2, seed=2)
    old.backbone = torch.nn.Conv2d(3, 8, 3)

    with pytest.raises(DeepmarkError, match=r"init\.safetensors: nothing in it fits the backbone mobile"):
        start_from(new, saved(old, tmp_path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DeepmarkError, match=r"nothing\.safetensors: no such file"):
        start_from(build_detector(MOBILE, DEEPFASHION2, seed=0), tmp_path / "nothing.safetensors")
