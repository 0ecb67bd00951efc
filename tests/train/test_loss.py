"""The losses equal their plain, dense definitions."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from head_maps import draw_heatmap
from layouts import HEAD_CHANNELS, LAYOUTS, SEPARATE, layout_of
from torch import Tensor

from deepmark.model.detector import build_detector
from deepmark.model.heads import GatheredHeads, HeadMaps, head_channels
from deepmark.model.landmark_channels import LandmarkLayout
from deepmark.params import LossWeights, ModelParams
from deepmark.train.gaussians import draw_cells
from deepmark.train.loss import Losses, focal_loss, losses
from deepmark.train.loss_targets import loss_targets
from deepmark.train.targets import Batch, Targets, collate, make_targets
from deepmark.types import Sample
from deepmark.vocabulary import DEEPFASHION2

HEIGHT, WIDTH = 64, 96
WEIGHTS = LossWeights(
    center_heatmap=1.0, size=0.1, center_offset=1.0, landmark_heatmap=1.0, landmark_vectors=1.0, landmark_offset=1.0
)
PARTS = list(HEAD_CHANNELS)

each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def make_sample(*categories: int, seed: int = 0, labelled: bool = True) -> Sample:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (len(categories), 2, 2)) * [WIDTH, HEIGHT]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    landmarks = np.zeros((len(categories), 39, 3), np.float32)
    for box, points, category in zip(boxes, landmarks, categories, strict=True):
        number = DEEPFASHION2.categories[category].landmarks
        points[:number, :2] = rng.uniform(box[:2], box[2:], (number, 2))
        points[:number, 2] = labelled * rng.integers(0, 3, number)
    return Sample(
        image=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        boxes=boxes.astype(np.float32),
        categories=np.array(categories, np.int64),
        landmarks=landmarks,
        affine=np.eye(2, 3),
    )


def make_batch() -> Batch:
    """Four images: two garments of one category, three of others, none, and one without landmarks."""
    return collate(
        [
            make_sample(3, 3, seed=1),
            make_sample(0, 7, 12, seed=2),
            make_sample(),
            make_sample(5, seed=3, labelled=False),
        ]
    )


def random_maps(pictures: int, *, seed: int = 0, scale: float = 3.0, layout: LandmarkLayout = SEPARATE) -> HeadMaps:
    generator = torch.Generator().manual_seed(seed)
    size = (HEIGHT // 4, WIDTH // 4)
    return HeadMaps(
        **{
            name: (scale * torch.randn(pictures, channels, *size, generator=generator)).requires_grad_()
            for name, channels in head_channels(layout).items()
        }
    )


def dense_focal_loss(logits: Tensor, heatmap: Tensor) -> Tensor:
    """The loss as the paper defines it, with a target for every cell."""
    p = logits.sigmoid()
    peak = -F.logsigmoid(logits) * (1 - p) ** 2
    empty = -F.logsigmoid(-logits) * p**2 * (1 - heatmap) ** 4
    return torch.where(heatmap == 1, peak, empty).sum()


def compute(
    maps: HeadMaps,
    targets: Targets,
    *,
    counts: Tensor | None = None,
    own: bool = False,
    weights: LossWeights = WEIGHTS,
    taught: GatheredHeads | None = None,
) -> Losses:
    goals = loss_targets(targets, layout_of(maps), landmark_channels="own" if own else "all")
    return losses(maps, goals, weights=weights, counts=goals.counts if counts is None else counts, taught=taught)


def gradient(loss: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    leaf = at.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(leaf), leaf)[0]


@each_layout
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_sparse_focal_loss_and_its_gradient_equal_the_dense_ones(scale, memory_format, layout):
    targets = make_targets(make_batch(), DEEPFASHION2)
    peaks, maps = targets.landmarks_on(layout), random_maps(4, scale=scale, layout=layout)
    logits = maps.landmark_heatmap.detach().contiguous(memory_format=memory_format)
    cells = draw_cells(peaks, targets.maps[1:])
    heatmap = draw_heatmap(peaks, shape=tuple(logits.shape))

    found, wanted = focal_loss(logits, cells), dense_focal_loss(logits.double(), heatmap.double())

    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    slope = gradient(lambda x: focal_loss(x, cells), logits)
    dense_slope = gradient(lambda x: dense_focal_loss(x, heatmap.double()), logits.double())
    torch.testing.assert_close(slope.double(), dense_slope, rtol=1e-5, atol=1e-6)


def test_the_gradient_of_the_focal_loss_equals_finite_differences():
    targets = make_targets(collate([make_sample(2, 2, seed=8)]), DEEPFASHION2)
    cells = draw_cells(targets.centers, targets.maps[1:])
    logits = torch.randn(1, len(DEEPFASHION2.categories), *targets.maps[1:], dtype=torch.float64)[:, :3]

    assert torch.autograd.gradcheck(lambda x: focal_loss(x, cells), logits.requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("logit", [-500.0, 500.0])
def test_the_focal_loss_of_a_sure_network_is_finite(logit):
    targets = make_targets(make_batch(), DEEPFASHION2)
    cells = draw_cells(targets.landmarks, targets.maps[1:])
    logits = torch.full((4, DEEPFASHION2.landmarks, *targets.maps[1:]), logit)

    assert focal_loss(logits, cells).isfinite()
    assert gradient(lambda x: focal_loss(x, cells), logits).isfinite().all()


@each_layout
def test_the_right_answer_costs_next_to_nothing(layout):
    targets, channels = make_targets(make_batch(), DEEPFASHION2), head_channels(layout)
    peaks, owner = targets.landmarks_on(layout), targets.landmark_garment
    heatmaps = {
        name: 60 * (draw_heatmap(peaks, shape=(4, channels[name], *targets.maps[1:])) == 1) - 30.0
        for name, peaks in (("center_heatmap", targets.centers), ("landmark_heatmap", peaks))
    }
    maps = {name: torch.zeros(4, number, *targets.maps[1:]) for name, number in channels.items()} | heatmaps
    for name, values in (("size", targets.sizes), ("center_offset", targets.centers.offset)):
        maps[name][targets.centers.image, :, targets.centers.y, targets.centers.x] = values
    maps["landmark_offset"][peaks.image, :, peaks.y, peaks.x] = peaks.offset
    for axis in (0, 1):
        at = (peaks.image, 2 * peaks.channel + axis, targets.centers.y[owner], targets.centers.x[owner])
        maps["landmark_vectors"][at] = targets.landmark_vectors[:, axis]

    found = compute(HeadMaps(**maps), targets)

    for name in ("center_heatmap", "size", "center_offset", "landmark_heatmap", "landmark_vectors"):
        assert getattr(found, name) < 1e-3, name


@each_layout
def test_with_own_channels_other_categories_are_masked(layout):
    batch, maps = make_batch(), random_maps(4, layout=layout)
    targets = make_targets(batch, DEEPFASHION2)
    shown = torch.zeros(4, layout.channels, 1, 1)
    for picture, category in zip(batch.image_index, batch.categories.tolist(), strict=True):
        shown[picture, list(layout.channel_of[DEEPFASHION2.categories[category].span])] = 1
    heatmap = draw_heatmap(targets.landmarks_on(layout), shape=tuple(maps.landmark_heatmap.shape)).double()

    def masked(logits: Tensor) -> Tensor:
        """Hidden channels are as sure as can be that nothing is there."""
        return dense_focal_loss(torch.where(shown == 1, logits, -1e4), heatmap) / targets.counts[1]

    found = compute(maps, targets, own=True).landmark_heatmap

    exact = maps.landmark_heatmap.double()
    assert found.item() == pytest.approx(masked(exact).item(), rel=1e-6)
    slope = torch.autograd.grad(found, maps.landmark_heatmap)[0]
    torch.testing.assert_close(slope.double(), gradient(masked, exact), rtol=1e-5, atol=1e-8)


@each_layout
def test_regressions_equal_their_plain_definition(layout):
    batch, maps = make_batch(), random_maps(4, layout=layout)
    targets = make_targets(batch, DEEPFASHION2)
    sums = dict.fromkeys(("size", "center_offset", "landmark_vectors", "landmark_offset"), 0.0)
    for box, category, points, picture in zip(
        batch.boxes.tolist(), batch.categories.tolist(), batch.landmarks.tolist(), batch.image_index, strict=True
    ):
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 8
        column, row = middle.astype(int)
        size = np.array([box[2] - box[0], box[3] - box[1]]) / 4
        sums["size"] += np.abs(maps.size[picture, :, row, column].tolist() - size).sum()
        sums["center_offset"] += np.abs(maps.center_offset[picture, :, row, column].tolist() - middle % 1).sum()
        for number, (x, y, v) in enumerate(points):
            if v == 0:
                continue
            place, channel = (
                np.array([x, y]) / 4,
                2 * layout.channel_of[DEEPFASHION2.categories[category].start + number],
            )
            vector = maps.landmark_vectors[picture, channel : channel + 2, row, column].tolist()
            offset = maps.landmark_offset[picture, :, int(place[1]), int(place[0])].tolist()
            sums["landmark_vectors"] += np.abs(vector - (place - middle)).sum()
            sums["landmark_offset"] += np.abs(offset - place % 1).sum()

    found = compute(maps, targets)

    garments, points_ = targets.counts.tolist()
    for name, total in sums.items():
        number = points_ if name.startswith("landmark") else garments
        assert getattr(found, name).item() == pytest.approx(total / (2 * number), rel=1e-5), name


def test_the_total_is_the_weighted_sum_of_the_parts():
    found = compute(random_maps(4), make_targets(make_batch(), DEEPFASHION2))

    weighted = sum(getattr(WEIGHTS, name) * getattr(found, name).item() for name in PARTS)
    assert found.total.item() == pytest.approx(weighted, rel=1e-6)


@pytest.mark.parametrize("own", [True, False])
def test_the_losses_of_two_halves_sum_to_that_of_the_whole(own):
    samples = [make_sample(3, 3, seed=1), make_sample(0, 7, seed=2), make_sample(), make_sample(5, seed=3)]
    maps = random_maps(4)
    whole = make_targets(collate(samples), DEEPFASHION2)
    halves = [make_targets(collate(samples[:2]), DEEPFASHION2), make_targets(collate(samples[2:]), DEEPFASHION2)]

    found = [compute(maps[2 * i : 2 * i + 2], half, counts=whole.counts, own=own) for i, half in enumerate(halves)]

    wanted = compute(maps, whole, own=own)
    for name, loss in wanted.parts.items():
        assert sum(part.parts[name].item() for part in found) == pytest.approx(loss.item(), rel=1e-5), name


@pytest.mark.parametrize("own", [True, False])
def test_a_batch_without_garments_gives_finite_gradients_to_every_head(own):
    maps = random_maps(2)
    found = compute(maps, make_targets(collate([make_sample(), make_sample()]), DEEPFASHION2), own=own)

    found.total.backward()

    assert found.total.isfinite()
    for name in PARTS:
        assert getattr(maps, name).grad.isfinite().all(), name


def test_a_garment_without_landmarks_teaches_its_box():
    maps = random_maps(1)

    compute(maps, make_targets(collate([make_sample(5, seed=3, labelled=False)]), DEEPFASHION2)).total.backward()

    assert maps.size.grad.any()
    assert maps.center_offset.grad.any()
    assert not maps.landmark_vectors.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_of_coarse_maps_are_computed_finely(dtype):
    targets, maps = make_targets(make_batch(), DEEPFASHION2), random_maps(4)
    coarse = HeadMaps(**{name: getattr(maps, name).detach().to(dtype) for name in PARTS})
    rounded = HeadMaps(**{name: getattr(coarse, name).float() for name in PARTS})

    with torch.autocast("cpu", torch.bfloat16):
        found = compute(coarse, targets)

    assert found.total.dtype == torch.float32
    assert found.total.item() == pytest.approx(compute(rounded, targets).total.item(), rel=1e-6)


@pytest.mark.parametrize("landmark_maps", LAYOUTS)
@pytest.mark.parametrize("own", [True, False])
def test_training_on_cells_alone_gives_the_gradients_of_whole_maps(own, landmark_maps):
    params = ModelParams(backbone="mobile", input_size=(HEIGHT, WIDTH), landmark_maps=landmark_maps)
    detector = build_detector(params, DEEPFASHION2, seed=0)
    targets = make_targets(make_batch(), DEEPFASHION2)
    pictures = torch.randn(4, 3, HEIGHT, WIDTH)

    gradients = []
    for maps in (detector(pictures), *detector(pictures, targets.cells)):
        detector.zero_grad()
        compute(maps, targets, own=own).total.backward()
        gradients.append([parameter.grad.clone() for parameter in detector.parameters()])

    for whole, cells in zip(*gradients, strict=True):
        torch.testing.assert_close(cells, whole, rtol=1e-3, atol=1e-5 + 1e-4 * whole.abs().max().item())
