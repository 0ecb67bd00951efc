"""The loss of 294 landmark maps: ours and plain ones, forward and backward, on the same maps and one CPU thread.

The plain focal loss fills a ground truth for every cell and leaves the derivative to autograd. CenterNet's way to read
regressions copies the whole map with its channels last and gathers the targets' cells from the copy.

    python benchmarks/loss.py --pictures 2
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from layouts import LAYOUTS
from torch import Tensor

from deepmark.model.heads import CellIndex
from deepmark.train.gaussians import Peaks, draw_cells
from deepmark.train.loss import focal_loss
from deepmark.train.targets import Targets, collate, make_targets
from deepmark.types import Sample

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from head_maps import draw_heatmap

from deepmark.vocabulary import DEEPFASHION2

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
"""As in a training; else each call takes page faults for its maps, the plain way the more of them."""


def make_sample(rng: np.random.Generator, side: int, garments: int) -> Sample:
    """A picture of garments in the shape of the data set's figure, every landmark visible."""
    size = 4 * side * rng.uniform(0.2, 0.6, (garments, 2))
    corner = rng.uniform(0, 1, (garments, 2)) * (4 * side - size)
    categories = rng.integers(0, len(DEEPFASHION2.categories), garments)
    landmarks = np.zeros((garments, 39, 3), np.float32)
    for points, category, low, extent in zip(landmarks, categories, corner, size, strict=True):
        shape = DEEPFASHION2.categories[category].shape.points
        points[: len(shape)] = np.column_stack([low + 0.98 * np.array(shape) * extent, np.full(len(shape), 2)])
    return Sample(
        image=np.zeros((4 * side, 4 * side, 3), np.uint8),
        boxes=np.concatenate([corner, corner + size], axis=1).astype(np.float32),
        categories=categories,
        landmarks=landmarks,
        affine=np.eye(2, 3),
    )


def plain_focal_loss(logits: Tensor, peaks: Peaks) -> Tensor:
    """As the paper writes it, on a ground truth for every cell."""
    heatmap = draw_heatmap(peaks, shape=tuple(logits.shape))
    p = logits.sigmoid()
    peak = F.logsigmoid(logits) * (1 - p) ** 2
    empty = F.logsigmoid(-logits) * p**2 * (1 - heatmap) ** 4
    return -torch.where(heatmap == 1, peak, empty).sum()


def our_focal_loss(logits: Tensor, peaks: Peaks) -> Tensor:
    return focal_loss(logits, draw_cells(peaks, tuple(logits.shape[2:])))


def plain_reading(maps: Tensor, cells: CellIndex) -> Tensor:
    """Every cell's channels side by side, and of these the targets' cells."""
    rows = maps.permute(0, 2, 3, 1).contiguous().flatten(0, 2)
    flat = (cells.image * maps.shape[2] + cells.y) * maps.shape[3] + cells.x
    return rows.gather(0, flat[:, None].expand(-1, maps.shape[1])).abs().sum()


def our_reading(maps: Tensor, cells: CellIndex) -> Tensor:
    return maps[cells.image, :, cells.y, cells.x].abs().sum()


def value_and_gradient(loss: Callable[[Tensor], Tensor], maps: Tensor) -> tuple[float, Tensor]:
    leaf = maps.detach().requires_grad_()
    value = loss(leaf)
    return value.item(), torch.autograd.grad(value, leaf)[0]


def compare(
    name: str, ours: Callable[[Tensor], Tensor], plain: Callable[[Tensor], Tensor], maps: Tensor, n: int
) -> None:
    """CPU time of both, taken in turns so that other programs on the machine burden both alike."""
    (value, slope), (wanted, wanted_slope) = value_and_gradient(ours, maps), value_and_gradient(plain, maps)
    torch.testing.assert_close(torch.tensor(value), torch.tensor(wanted), rtol=1e-4, atol=0)
    torch.testing.assert_close(slope, wanted_slope, rtol=1e-3, atol=1e-5)
    spent: dict[Callable, list[float]] = {ours: [], plain: []}
    for way in [ours, plain] * n:
        start = time.process_time()
        value_and_gradient(way, maps)
        spent[way].append(1e3 * (time.process_time() - start))
    mine, theirs = median(spent[ours]), median(spent[plain])
    print(f"{name:34} {theirs:9.1f} {mine:9.1f} ms   {theirs / mine:6.1f} times as fast")


def run(targets: Targets, landmark_maps: str, repeats: int) -> None:
    layout = LAYOUTS[landmark_maps]
    pictures, height, width = targets.maps
    peaks, cells = targets.landmarks_on(layout), targets.centers.cells
    heatmap = torch.randn(pictures, layout.channels, height, width) - 3
    vectors = torch.randn(pictures, 2 * layout.channels, height, width)
    compare(
        f"focal loss, {landmark_maps}",
        lambda maps: our_focal_loss(maps, peaks),
        lambda maps: plain_focal_loss(maps, peaks),
        heatmap,
        repeats,
    )
    compare(
        f"vectors at centres, {landmark_maps}",
        lambda maps: our_reading(maps, cells),
        lambda maps: plain_reading(maps, cells),
        vectors,
        repeats,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2, help="in the batch (default %(default)s)")
    parser.add_argument("--garments", type=int, default=2, help="in a picture (default %(default)s)")
    parser.add_argument("--side", type=int, default=128, help="of the maps, cells (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=7, help="timed calls of each (default %(default)s)")
    options = parser.parse_args()
    if not os.environ.keys() >= ALLOCATOR.keys():  # glibc reads them when a program starts
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ALLOCATOR)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    samples = [make_sample(rng, options.side, options.garments) for _ in range(options.pictures)]
    print(f"{options.pictures} pictures of {options.garments} garments, {options.side} x {options.side} cells")
    print(f"{'forward and backward, CPU time':34} {'plain':>9} {'ours':>9}")
    for landmark_maps in LAYOUTS:
        run(make_targets(collate(samples), DEEPFASHION2), landmark_maps, options.repeats)


if __name__ == "__main__":
    main()
