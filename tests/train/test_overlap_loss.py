"""The losses of overlaps equal their plain definitions, and their gradients finite differences."""

import numpy as np
import pytest
import torch
from layouts import HEAD_CHANNELS
from test_loss import WEIGHTS, compute, make_batch, make_sample, random_maps

from deepmark import geometry
from deepmark.eval.metric.overlaps import landmark_overlap
from deepmark.train.loss import loss_names
from deepmark.train.overlap_loss import diou_loss, giou_loss, oks_loss
from deepmark.train.targets import collate, make_targets
from deepmark.vocabulary import DEEPFASHION2

ADDED = ("box_giou", "box_diou", "landmark_vectors_oks", "landmark_offset_oks")
HEADS = ("center_heatmap", "size", "center_offset", "landmark_heatmap", "landmark_vectors", "landmark_offset")
ON = WEIGHTS.model_copy(update=dict.fromkeys(ADDED, 0.5))


def random_boxes(seed: int, count: int = 60) -> tuple[torch.Tensor, ...]:
    """Offsets and sizes of found and wanted boxes, in double precision; some overlap, some do not."""
    rng = torch.Generator().manual_seed(seed)
    offsets = [3 * torch.randn(count, 2, generator=rng, dtype=torch.float64) for _ in range(2)]
    sizes = [0.2 + 6 * torch.rand(count, 2, generator=rng, dtype=torch.float64) for _ in range(2)]
    return offsets[0], sizes[0], offsets[1], sizes[1]


def corners(offsets: torch.Tensor, sizes: torch.Tensor) -> np.ndarray:
    return torch.cat([offsets - sizes / 2, offsets + sizes / 2], dim=1).numpy()


def test_giou_and_diou_are_those_of_the_papers():
    boxes = random_boxes(1)
    a, b = corners(*boxes[:2]), corners(*boxes[2:])
    iou = np.diagonal(geometry.box_iou(a, b))
    low, high = np.minimum(a[:, :2], b[:, :2]), np.maximum(a[:, 2:], b[:, 2:])
    hull = (high - low).prod(1)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (a, b)]
    union = sum(areas) / (1 + iou)
    apart = ((boxes[0] - boxes[2]) ** 2).sum(1).numpy()

    assert 0 < (iou > 0).sum() < len(iou)
    np.testing.assert_allclose(giou_loss(*boxes), 1 - (iou - (hull - union) / hull), rtol=1e-9)
    np.testing.assert_allclose(diou_loss(*boxes), 1 - (iou - apart / ((high - low) ** 2).sum(1)), rtol=1e-9)


@pytest.mark.parametrize("loss", [giou_loss, diou_loss])
def test_a_box_that_is_right_costs_nothing_and_one_far_away_almost_two(loss):
    offset, size = torch.zeros(1, 2), torch.full((1, 2), 4.0)

    assert loss(offset, size, offset, size).item() == pytest.approx(0, abs=1e-6)
    assert loss(offset + 1e4, size, offset, size).item() == pytest.approx(2, abs=1e-2)
    assert loss(offset + 5, size, offset, size).item() > 1


@pytest.mark.parametrize("loss", [giou_loss, diou_loss])
def test_the_gradients_of_box_losses_equal_finite_differences(loss):
    offsets, sizes, *wanted = random_boxes(2, count=20)

    assert torch.autograd.gradcheck(
        lambda o, s: loss(o, s, *wanted), (offsets.requires_grad_(), sizes.requires_grad_()), eps=1e-7, atol=1e-5
    )


@pytest.mark.parametrize("loss", [giou_loss, diou_loss])
@pytest.mark.parametrize("size", [-3.0, 0.0])
@pytest.mark.parametrize("wanted", [0.0, 2.0])
def test_boxes_without_an_area_give_finite_losses_and_gradients(loss, size, wanted):
    offsets, sizes = torch.zeros(1, 2, requires_grad=True), torch.full((1, 2), size, requires_grad=True)

    found = loss(offsets, sizes, torch.zeros(1, 2), torch.full((1, 2), wanted))
    found.sum().backward()

    assert found.isfinite().all()
    assert offsets.grad.isfinite().all()
    assert sizes.grad.isfinite().all()


def test_the_landmark_loss_is_what_lacks_of_the_metrics_similarity():
    rng = np.random.default_rng(3)
    category = DEEPFASHION2.categories[7]
    count = category.landmarks
    truth, found = np.zeros((1, 39, 3)), np.zeros((1, 39, 2))
    truth[0, :count] = np.column_stack([rng.uniform(0, 40, (count, 2)), np.full(count, 2)])
    found[0, :count] = truth[0, :count, :2] + rng.normal(0, 2, (count, 2))
    box = np.array([[0.0, 0.0, 30.0, 40.0]])
    wanted = landmark_overlap(DEEPFASHION2, np.array([7]), box, truth, found)

    apart = torch.from_numpy(found[0, :count] - truth[0, :count, :2])
    sigmas = torch.tensor(category.sigmas, dtype=torch.float64)
    losses = oks_loss(apart, sigmas, torch.tensor([[30.0, 40.0]], dtype=torch.float64).expand(count, 2))

    assert 1 - losses.mean().item() == pytest.approx(wanted.item(), abs=1e-12)


def test_the_gradient_of_the_landmark_loss_equals_finite_differences():
    rng = torch.Generator().manual_seed(4)
    apart = torch.randn(30, 2, generator=rng, dtype=torch.float64).requires_grad_()
    sigmas = torch.tensor(DEEPFASHION2.sigmas, dtype=torch.float64)[
        torch.randint(len(DEEPFASHION2.sigmas), (30,), generator=rng)
    ]
    sizes = 1 + 9 * torch.rand(30, 2, generator=rng, dtype=torch.float64)

    assert torch.autograd.gradcheck(lambda d: oks_loss(d, sigmas, sizes), (apart,), eps=1e-7, atol=1e-6)


def test_weights_of_zero_leave_every_loss_and_gradient_as_it_was():
    targets = make_targets(make_batch(), DEEPFASHION2)
    grads = []
    for weights in (WEIGHTS, WEIGHTS.model_copy(update=dict.fromkeys(ADDED, 0.0))):
        maps = random_maps(4)
        found = compute(maps, targets, weights=weights)
        found.total.backward()
        grads.append([getattr(maps, name).grad for name in HEAD_CHANNELS])
        assert tuple(found.parts) == loss_names(weights) == ("total", *HEADS)

    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_each_loss_that_is_asked_for_is_a_part_of_the_total_and_has_a_name():
    found = compute(random_maps(4), make_targets(make_batch(), DEEPFASHION2), weights=ON)
    weighted = sum(getattr(ON, name) * loss.item() for name, loss in found.parts.items() if name != "total")

    assert tuple(found.parts) == loss_names(ON) == ("total", *HEADS, *ADDED)
    assert found.total.item() == pytest.approx(weighted, rel=1e-6)
    assert all(0 < found.parts[name].item() < 2 for name in ADDED)


def test_the_losses_of_two_halves_sum_to_that_of_the_whole():
    samples = [make_sample(3, 3, seed=1), make_sample(0, 7, seed=2), make_sample(), make_sample(5, seed=3)]
    maps, whole = random_maps(4), make_targets(collate(samples), DEEPFASHION2)
    halves = [make_targets(collate(samples[:2]), DEEPFASHION2), make_targets(collate(samples[2:]), DEEPFASHION2)]

    found = [compute(maps[2 * i : 2 * i + 2], half, counts=whole.counts, weights=ON) for i, half in enumerate(halves)]

    wanted = compute(maps, whole, weights=ON)
    for name in ADDED:
        assert sum(part.parts[name].item() for part in found) == pytest.approx(wanted.parts[name].item(), rel=1e-5)


def test_a_batch_without_garments_gives_finite_gradients():
    maps = random_maps(2)
    compute(maps, make_targets(collate([make_sample(), make_sample()]), DEEPFASHION2), weights=ON).total.backward()

    assert all(getattr(maps, name).grad.isfinite().all() for name in HEAD_CHANNELS)
