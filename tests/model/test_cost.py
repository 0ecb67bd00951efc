"""Costs equal those computed by hand and the known figures of both published networks."""

import pytest
import torch
from saved_bytes import saved_bytes
from torch import nn

from deepmark.model.backbones.deform import DeformConv2d
from deepmark.model.cost import SUSTAINED, cost, count_flop, kept_for_backward, measured_time, training_cost
from deepmark.model.detector import build_detector, save_detector
from deepmark.model.heads import CellIndex
from deepmark.params import ModelParams, load_params
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file

MOBILE = ModelParams(backbone="mobile", input_size=(64, 96))


def flop_on_meta(layer: nn.Module, *shape: int) -> int:
    return count_flop(layer.to("meta"), torch.empty(shape, device="meta"))


@pytest.mark.slow
def test_a_convolution_costs_two_for_every_product():
    assert flop_on_meta(nn.Conv2d(3, 5, 3, padding=1), 2, 3, 8, 10) == 2 * (2 * 8 * 10) * (5 * 3 * 9)


@pytest.mark.parametrize("backbone", ["mobile", "dla34"])
def test_what_is_kept_for_the_backward_pass_is_counted_as_it_is_kept(backbone):
    params = ModelParams(backbone=backbone, input_size=(64, 96))
    detector, zeros = build_detector(params, DEEPFASHION2, seed=1), torch.zeros(8, dtype=torch.int64)
    cells = CellIndex(image=zeros, x=zeros, y=zeros)

    real = saved_bytes(lambda: detector(torch.zeros(1, 3, 64, 96), gather_at=(cells, cells)), detector)

    assert kept_for_backward(params, DEEPFASHION2) == pytest.approx(real, rel=0.02)


def test_a_training_costs_three_passes_an_image_and_its_memory_grows_with_the_batch_of_a_device():
    train = load_params(profile_file("demo")).train
    small, large = (train.model_copy(update={"batch_size": 64, "device_batch": batch}) for batch in (8, 16))
    once, twice = (training_cost(MOBILE, DEEPFASHION2, each, images=1000) for each in (small, large))

    assert once["exaflop"] == pytest.approx(3 * cost(MOBILE, DEEPFASHION2)["gflop"] * 1e-9 * 1000 * train.epochs)
    assert once["gpu_hours"] == pytest.approx(once["exaflop"] * 1e18 / SUSTAINED / 3600)
    assert (twice["gigabytes"] - once["gigabytes"]) * 1e9 == pytest.approx(8 * kept_for_backward(MOBILE, DEEPFASHION2))


def test_a_deformable_layer_costs_its_offsets_its_samples_and_its_products():
    cells, before, width = 8 * 10, 3, 5
    offsets = 2 * cells * (27 * before * 9)
    samples = 2 * cells * 9 * before * 4
    products = 2 * cells * (width * before * 9)

    assert flop_on_meta(DeformConv2d(before, width), 1, before, 8, 10) == offsets + samples + products


def test_counting_on_a_device_that_computes_gives_the_same():
    layer = DeformConv2d(3, 5)
    counted = count_flop(layer, torch.randn(1, 3, 8, 10))

    assert counted == flop_on_meta(layer, 1, 3, 8, 10)


@pytest.mark.slow
def test_the_published_networks_cost_what_is_known_of_them():
    dla, hourglass = (
        cost(ModelParams(backbone=name, input_size=(512, 512)), DEEPFASHION2) for name in ("dla34", "hourglass104")
    )

    assert dla["gflop"] == dla["gflop_detecting"] == pytest.approx(87.5, abs=1)
    assert hourglass["gflop"] == pytest.approx(715, abs=8)
    assert dla["parameters"] == pytest.approx(20.3e6, rel=0.01)
    assert hourglass["parameters"] == pytest.approx(195e6, rel=0.01)
    assert dla["output_megabytes"] == hourglass["output_megabytes"] == pytest.approx(59, abs=0.1)


@pytest.mark.slow
def test_detecting_saves_the_heads_of_the_earlier_stack():
    facts = cost(ModelParams(backbone="hourglass104", input_size=(128, 128)), DEEPFASHION2)
    hidden, channels = 6 * 256 * 256 * 9, 256 * 901

    saved = 1e9 * (facts["gflop"] - facts["gflop_detecting"])

    assert saved == pytest.approx(2 * 32 * 32 * (hidden + channels))


@pytest.mark.slow
def test_plain_convolutions_cost_less():
    deformable, plain = (
        cost(ModelParams(backbone="dla34", input_size=(64, 64), deformable=deformable), DEEPFASHION2)
        for deformable in (True, False)
    )

    assert plain["gflop"] < deformable["gflop"]
    assert plain["parameters"] < deformable["parameters"]


@pytest.mark.slow
def test_the_weights_take_the_space_that_their_file_takes(tmp_path):
    save_detector(build_detector(MOBILE, DEEPFASHION2, seed=0), tmp_path / "model.safetensors")

    size = (tmp_path / "model.safetensors").stat().st_size

    assert cost(MOBILE, DEEPFASHION2)["weights_megabytes"] == pytest.approx(size / 1e6, rel=0.01)


def test_a_measured_time_says_where_it_was_measured():
    facts = measured_time(MOBILE, DEEPFASHION2, precision="fp32", device=torch.device("cpu"))

    assert facts["milliseconds_a_picture"] > 0
    assert facts["device"] == f"CPU, {torch.get_num_threads()} threads"


@pytest.mark.slow
def test_the_command_prints_the_costs_of_the_configuration(deepmark, sharded):
    facts = deepmark("model", "--workspace", sharded.root, "--no-time", "--json").facts

    assert facts == cost(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2)


@pytest.mark.slow
def test_the_command_takes_another_backbone_and_measures_its_time(deepmark, sharded):
    done = deepmark("model", "--workspace", sharded.root, "--backbone", "dla34")

    assert done.code == 0
    assert "dla34" in done.out
    assert "milliseconds an image" in done.out


def test_a_backbone_that_the_input_size_does_not_suit_is_refused(deepmark, sharded):
    done = deepmark("model", "--workspace", sharded.root, "--backbone", "hourglass104")

    assert done.code == 1
    assert "[64, 64] must be multiples of 128 for backbone hourglass104" in done.err
    assert "Traceback" not in done.err
