"""Gaussians that share a map: their cells are counted without drawing them, and each is learnt once."""

import numpy as np
import pytest
import torch

from deepmark.train.gaussians import Peaks, count_cells, draw_cells
from deepmark.train.loss import focal_loss

SHAPE = (2, 3, 32, 24)
"""Images, channels, height and width of the maps."""


def random_peaks(seed: int) -> Peaks:
    """Sixty, or with seed 0 none."""
    rng, number = np.random.default_rng(seed), 60 * (seed > 0)
    columns = (rng.integers(0, most, number) for most in (*SHAPE[:2], SHAPE[3], SHAPE[2], 9))
    named = zip(("image", "channel", "x", "y", "radius"), map(torch.from_numpy, columns), strict=True)
    return Peaks(offset=torch.zeros(number, 2), **dict(named))


@pytest.mark.parametrize("seed", range(5))
def test_cells_are_counted_without_drawing_them(seed):
    peaks = random_peaks(seed)

    numbers = count_cells(peaks, SHAPE[2:])

    cells = draw_cells(peaks, SHAPE[2:])
    places = torch.stack([cells.image, cells.channel, cells.y, cells.x])
    assert numbers.drawn == len(cells.value)
    assert numbers.distinct == places.unique(dim=1).shape[1]
    assert seed == 0 or 0 < numbers.distinct < numbers.drawn


@pytest.mark.parametrize("seed", range(3))
def test_a_cell_that_several_gaussians_cover_is_learnt_once_with_the_greatest_value(seed):
    cells, logits = draw_cells(random_peaks(seed), SHAPE[2:]), torch.randn(SHAPE, requires_grad=True)
    heat = torch.zeros(SHAPE)
    places = zip(cells.image.tolist(), cells.channel.tolist(), cells.y.tolist(), cells.x.tolist(), strict=True)
    for place, value in zip(places, cells.value.tolist(), strict=True):
        heat[place] = max(heat[place].item(), value)
    p = logits.sigmoid()
    wanted = torch.where(heat == 1, -p.log() * (1 - p) ** 2, -(1 - p).log() * p**2 * (1 - heat) ** 4).sum()

    found = focal_loss(logits, cells)

    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    slopes = [torch.autograd.grad(each, logits)[0] for each in (found, wanted)]
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-5)
