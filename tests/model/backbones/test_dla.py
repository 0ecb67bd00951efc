"""DLA-34 has the tensors of the published network, also in its form without deformable convolutions."""

import pytest
import torch
from published import DLA, check_backbone
from saved_bytes import saved_bytes
from torch import nn

from deepmark.model.backbones.deform import DeformConv2d
from deepmark.model.backbones.dla import DLA34


def test_the_weights_have_the_names_and_shapes_of_the_published_checkpoint():
    ours = {key: list(value.shape) for key, value in DLA34().state_dict().items()}

    assert ours == {key: shape for key, shape in DLA.shapes.items() if DLA.of_backbone(key)}


@pytest.mark.slow
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_maps_equal_those_of_the_published_network(memory_format):
    check_backbone(DLA, DLA34(), memory_format=memory_format)


def test_every_deformable_convolution_can_be_a_plain_one_of_the_same_name_and_shape():
    deformable, plain = DLA34(), DLA34(deformable=False)

    moved = {name: layer for name, layer in deformable.named_modules() if isinstance(layer, DeformConv2d)}
    assert len(moved) == 16
    assert not any(isinstance(layer, DeformConv2d) for layer in plain.modules())
    for name, layer in moved.items():
        convolution = plain.get_submodule(name)
        assert type(convolution) is nn.Conv2d
        assert convolution.weight.shape == layer.weight.shape
    rest = {key: value.shape for key, value in deformable.state_dict().items() if "conv_offset_mask" not in key}
    assert {key: value.shape for key, value in plain.state_dict().items()} == rest


@pytest.mark.slow
def test_without_deformable_convolutions_the_features_have_the_same_shape():
    images = torch.randn(2, 3, 64, 96)

    shapes = [DLA34(deformable=deformable)(images)[-1].shape for deformable in (True, False)]

    assert shapes == [(2, 64, 16, 24)] * 2


@pytest.mark.slow
def test_for_the_backward_pass_it_keeps_a_third_of_what_it_would_keep_with_the_samples_of_deformable_layers():
    backbone, images = DLA34(), torch.randn(1, 3, 256, 256)

    kept = saved_bytes(lambda: backbone(images), backbone)

    assert 4 * kept / 2**20 < 340  # MiB for an image of 512 x 512; with the samples it was 1,003
