"""Hourglass-104 has the tensors of the published network."""

import pytest
import torch
from published import HOURGLASS

from deepmark.model.backbones.hourglass import STACKS, Hourglass104


def test_the_weights_have_the_names_and_shapes_of_the_published_checkpoint():
    with torch.device("meta"):
        ours = {key: list(value.shape) for key, value in Hourglass104().state_dict().items()}

    assert ours == {key: shape for key, shape in HOURGLASS.shapes.items() if HOURGLASS.of_backbone(key)}


@pytest.mark.slow
def test_every_stack_gives_features_at_stride_4():
    with torch.device("meta"):
        features = Hourglass104()(torch.empty(2, 3, 128, 256))

    assert [one.shape for one in features] == [(2, 256, 32, 64)] * STACKS
