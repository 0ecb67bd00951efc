"""Every backbone with its heads: shapes, start values, and what training computes."""

from collections.abc import Iterator
from dataclasses import fields

import pytest
import torch
from layouts import HEAD_CHANNELS, LAYOUTS
from torch import Tensor, nn

from deepmark.model.detector import (
    HIDDEN,
    MEAN,
    STD,
    STRIDE,
    Detector,
    build_detector,
    count_parameters,
    load_network,
    save_detector,
)
from deepmark.model.heads import CellIndex, GatheredHeads, Heads, head_channels
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2

MOBILE = ModelParams(backbone="mobile", input_size=(64, 96))


DLA34 = ModelParams(backbone="dla34", input_size=(64, 96))


GROUPED = ModelParams(backbone="mobile", input_size=(64, 96), landmark_maps="grouped")


PLAIN = ModelParams(backbone="dla34", input_size=(64, 96), deformable=False)


HOURGLASS = ModelParams(backbone="hourglass104", input_size=(128, 128))


ALL = [
    pytest.param(MOBILE, id="mobile"),
    pytest.param(GROUPED, id="mobile, grouped"),
    pytest.param(DLA34, id="dla34"),
    pytest.param(PLAIN, id="dla34 plain"),
    pytest.param(HOURGLASS, id="hourglass104", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=ALL)
def built(request: pytest.FixtureRequest) -> Detector:
    return build_detector(request.param, DEEPFASHION2, seed=0)


@pytest.fixture
def detector(built: Detector) -> Iterator[Detector]:
    """A new network of every kind; changes that a test makes are undone."""
    before = {name: buffer.clone() for name, buffer in built.named_buffers()}
    yield built
    built.train().zero_grad()
    for name, buffer in built.named_buffers():
        buffer.copy_(before[name])


def some_cells(number: int) -> CellIndex:
    """Cells of the first image, from the top left corner to the right."""
    column = torch.arange(number)
    return CellIndex(image=torch.zeros_like(column), x=column, y=torch.zeros_like(column))


def total(readings: GatheredHeads) -> Tensor:
    return sum(getattr(readings, field.name).sum() for field in fields(readings))


def test_every_backbone_gives_the_six_maps_at_stride_4(detector):
    detector.eval()
    params = detector.params
    pictures = torch.randint(0, 256, (2, *params.input_size, 3), dtype=torch.uint8)

    with torch.no_grad():
        maps = detector(detector.normalize(pictures))

    height, width = (side // STRIDE for side in params.input_size)
    for name, channels in head_channels(LAYOUTS[params.landmark_maps]).items():
        assert getattr(maps, name).shape == (2, channels, height, width), name


@pytest.mark.slow
def test_every_parameter_takes_part(detector):
    stacks = detector(torch.randn(2, 3, *detector.params.input_size), gather_at=(some_cells(2), some_cells(3)))
    sum(map(total, stacks)).backward()

    assert [name for name, parameter in detector.named_parameters() if parameter.grad is None] == []


def test_dla34_has_the_20_million_parameters_of_the_paper_s_network():
    assert count_parameters(build_detector(DLA34, DEEPFASHION2, seed=0)) == pytest.approx(20.3e6, rel=0.01)


def test_the_hourglass_has_195_million_parameters():
    with torch.device("meta"):
        assert count_parameters(build_detector(HOURGLASS, DEEPFASHION2, seed=None)) == pytest.approx(195e6, rel=0.01)


class TwoStacks(nn.Module):
    """A backbone with two stacks: the features of the image, then twice these."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return images, 2 * images


def test_every_stack_is_read_in_training_and_the_last_detects():
    earlier, last = Heads(3, hidden=4, layout=LAYOUTS["separate"]), Heads(3, hidden=4, layout=LAYOUTS["separate"])
    detector = Detector(TwoStacks(), last, MOBILE, earlier_heads=[earlier])
    images, at = torch.randn(1, 3, 4, 4), (some_cells(1), some_cells(2))

    first, second = detector(images, gather_at=at)

    torch.testing.assert_close(first.size, earlier(images).gather_at(*at).size)
    torch.testing.assert_close(second.size, last(2 * images).gather_at(*at).size)
    torch.testing.assert_close(detector(images).size, last(2 * images).size)


def test_detecting_never_computes_the_heads_of_earlier_stacks():
    earlier = Heads(3, hidden=4, layout=LAYOUTS["separate"])
    earlier.register_forward_pre_hook(lambda *_: pytest.fail("an earlier head was computed"))

    Detector(TwoStacks(), Heads(3, hidden=4, layout=LAYOUTS["separate"]), MOBILE, earlier_heads=[earlier])(
        torch.randn(1, 3, 4, 4)
    )


@pytest.mark.slow
@pytest.mark.parametrize("params", [DLA34, PLAIN], ids=["deformable", "plain"])
def test_it_learns_with_and_without_deformable_convolutions(params):
    detector = build_detector(params, DEEPFASHION2, seed=0)
    optimizer = torch.optim.Adam(detector.parameters(), lr=1e-3)
    images = torch.randn(1, 3, *params.input_size, generator=torch.Generator().manual_seed(0))
    errors = []
    for _ in range(12):
        (readings,) = detector(images, gather_at=(some_cells(4), some_cells(4)))
        error = (readings.size - 3).square().mean() + readings.landmark_heatmap.sigmoid().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())

    assert errors[-1] < 0.5 * errors[0]


def test_the_light_network_has_less_than_two_million_parameters():
    assert 1e6 < count_parameters(build_detector(MOBILE, DEEPFASHION2, seed=0)) < 2e6


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    one, same, other = (build_detector(MOBILE, DEEPFASHION2, seed=seed).state_dict() for seed in (5, 5, 6))

    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["heads.size.0.weight"], other["heads.size.0.weight"])


@pytest.mark.parametrize("seed", [None, 1])
def test_building_leaves_the_generator_where_it_was(seed):
    before = torch.get_rng_state()

    build_detector(MOBILE, DEEPFASHION2, seed=seed)

    assert torch.equal(torch.get_rng_state(), before)


def test_at_the_start_the_signal_neither_dies_nor_explodes(detector):
    for features in detector.backbone(torch.randn(2, 3, *detector.params.input_size)):
        assert 0.1 < features.std() < 10


def test_at_the_start_features_are_small_enough_for_half_precision_where_nothing_is_known_of_the_pictures(detector):
    detector.eval()

    with torch.no_grad():
        for features in detector.backbone(torch.randn(2, 3, *detector.params.input_size)):
            assert features.abs().max() < 1000


def test_the_heads_of_every_stack_start_with_a_probability_of_a_tenth(detector):
    for heads in (*detector.earlier_heads, detector.heads):
        for head in (heads.center_heatmap, heads.landmark_heatmap):
            torch.testing.assert_close(head[2].bias.sigmoid(), torch.full_like(head[2].bias, 0.1), atol=0.01, rtol=0)
            assert head[2].weight.abs().max() < 0.01


def test_normalizing_maps_the_mean_to_zero_and_one_deviation_to_one():
    detector = build_detector(MOBILE, DEEPFASHION2, seed=0)
    mean = torch.tensor(MEAN)
    pictures = (255 * torch.stack([mean, mean + torch.tensor(STD)])).round().to(torch.uint8)[:, None, None]

    normal = detector.normalize(pictures)

    assert normal.shape == (2, 3, 1, 1)
    torch.testing.assert_close(normal[0], torch.zeros(3, 1, 1), atol=0.01, rtol=0)
    torch.testing.assert_close(normal[1], torch.ones(3, 1, 1), atol=0.02, rtol=0)


def test_normalized_pictures_have_their_channels_last_in_memory():
    normal = build_detector(MOBILE, DEEPFASHION2, seed=0).normalize(torch.zeros(2, 32, 64, 3, dtype=torch.uint8))

    assert normal.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
def test_a_saved_detector_comes_back_as_it_was(tmp_path, detector):
    detector.eval()
    pictures = torch.randn(1, 3, *detector.params.input_size)

    save_detector(detector, tmp_path / "model.safetensors", facts={"mlflow_run_id": "abc"})
    loaded = load_network(tmp_path / "model.safetensors")

    assert loaded.params == detector.params
    assert loaded.facts == {"mlflow_run_id": "abc"}
    assert not loaded.training
    with torch.no_grad():
        before, after = detector(pictures), loaded(pictures)
    assert all(torch.equal(getattr(before, name), getattr(after, name)) for name in HEAD_CHANNELS)
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_grouping_landmarks_leaves_out_nothing_but_output_channels():
    fewer = count_parameters(build_detector(MOBILE, DEEPFASHION2, seed=0)) - count_parameters(
        build_detector(GROUPED, DEEPFASHION2, seed=0)
    )

    assert fewer == (901 - 259) * (HIDDEN["mobile"] + 1)
