"""Peaks of heatmaps, and the Gaussians that are drawn around them.

All is computed for all peaks of a batch at once, without a loop over them: radii and numbers of cells on the host, the
cells on the training device.

Source: Objects as Points, 2019, section 3; the box's radius as in its published code.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepmark.model.heads import CellIndex
from deepmark.shapes import Float, Float64, Int64

_OVERLAP = 0.7
"""The intersection over union that CenterNet's radius is derived from."""

_EDGE_OKS = math.exp(-4.5)
"""The object keypoint similarity at a landmark's radius, 0.011: three standard deviations of the similarity's Gaussian.

The drawn Gaussian's standard deviation is a third of its radius too, so a cell's heat is the similarity that a landmark
placed there would earn.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Peaks:
    """The k cells of a batch of heatmaps where a point lies."""

    image: Int64[Tensor, " k"]
    channel: Int64[Tensor, " k"]
    x: Int64[Tensor, " k"]
    y: Int64[Tensor, " k"]
    """The cell's column and row."""

    offset: Float[Tensor, "k 2"]
    """x, y inside the cell, 0..1."""

    radius: Int64[Tensor, " k"]
    """Distance from the peak, in cells, within which a cell counts as nearly right."""

    @property
    def cells(self) -> CellIndex:
        return CellIndex(image=self.image, x=self.x, y=self.y)

    def __len__(self) -> int:
        return len(self.image)


def gaussian_radius(sizes: Float[Tensor, "n 2"]) -> Int64[Tensor, " n"]:
    """The distance from a centre within which a cell is still nearly right, for boxes of these sizes, all in cells.

    The same numbers as CenterNet's published code. Of its three solutions the smallest is always that of a box which
    grows on all sides, and it is divided by 2 instead of by 2 a = 5.6. The radius is therefore about three times what
    an overlap of 0.7 allows, which is better: on the demo's data, box AP50 is .74 with it and .66 with the correct
    radius (docs/results.md).
    """
    width, height = sizes.double().ceil().unbind(dim=1)
    a, b, c = 4 * _OVERLAP, -2 * _OVERLAP * (height + width), (_OVERLAP - 1) * width * height
    radius = (b + (b**2 - 4 * a * c).sqrt()) / 2
    return (radius + 1e-9).long()  # a box of 15 x 70 has exactly 7, which a device's square root may just miss


def sigma_radius(sigmas: Float64[Tensor, " m"], sizes: Float[Tensor, "m 2"]) -> Int64[Tensor, " m"]:
    """The same distance from landmarks, given by their OKS sigmas and the sizes of their garments, all in cells.

    It is the distance d at which OKS, exp(-d^2 / (2 area (2 sigma)^2)), falls to 0.011: 6 sigma sqrt(area). With the
    mean of DeepFashion2's 294 sigmas it is 0.24 of a square box's side, where the box's own radius is 0.27; with the
    smallest and the largest sigma, 0.04 and 0.44. It is at least 1, since the landmark may lie on the border of its
    cell.

    Source: the metric's definition (COCO); sigmas of the vocabulary.
    """
    radius = 2 * sigmas * (2 * math.log(1 / _EDGE_OKS) * sizes.double().prod(dim=1)).sqrt()
    return (radius + 1e-9).long().clamp(min=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class CellNumbers:
    """How many cells Gaussians cover. Who knows them need not wait until a device has counted."""

    drawn: int
    """A cell that several cover counts once for each."""

    distinct: int
    """Every cell counts once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnCells:
    """The cells that Gaussians cover; a cell that several cover appears once for each."""

    image: Int64[Tensor, " d"]
    channel: Int64[Tensor, " d"]
    x: Int64[Tensor, " d"]
    y: Int64[Tensor, " d"]
    value: Float[Tensor, " d"]
    """0..1, and exactly 1 at peaks."""

    distinct: int
    """How many different cells these are."""


def draw_cells(peaks: Peaks, size: tuple[int, int], numbers: CellNumbers | None = None) -> DrawnCells:
    """The Gaussians around peaks, on maps of this height and width, as a list of cells.

    `numbers` are those of `count_cells`, without which they are counted, and a device waited for.
    """
    numbers = numbers or count_cells(peaks, size)
    left, right, top, bottom = _windows(peaks, size)
    columns = right - left + 1
    counts = columns * (bottom - top + 1)
    owner = torch.repeat_interleave(counts, output_size=numbers.drawn)
    place = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[owner]
    x, y = left[owner] + place % columns[owner], top[owner] + place // columns[owner]
    square = ((x - peaks.x[owner]) ** 2 + (y - peaks.y[owner]) ** 2).double()
    sigma = (2 * peaks.radius + 1).double() / 6
    # The smallest value, in a corner of the window, is above exp(-9): nothing falls below the published eps.
    value = torch.exp(-square / (2 * sigma**2)[owner]).to(peaks.offset.dtype)
    image, channel = peaks.image[owner], peaks.channel[owner]
    return DrawnCells(image=image, channel=channel, x=x, y=y, value=value, distinct=numbers.distinct)


def count_cells(peaks: Peaks, size: tuple[int, int]) -> CellNumbers:
    """The numbers of cells of the Gaussians around peaks, which are best on the host, on maps of this size.

    No cell is listed for it. Peaks alone on their map count by the area of their window; of those that share a map,
    each row of a window is an interval, and what intervals cover together is counted in their order.
    """
    columns = *_windows(peaks, size), peaks.image, peaks.channel
    left, right, top, bottom, image, channel = (column.numpy(force=True) for column in columns)
    areas = (right - left + 1) * (bottom - top + 1)
    maps = image * (channel.max(initial=0) + 1) + channel
    _, plane, sharing = np.unique(maps, return_inverse=True, return_counts=True)
    shared = sharing[plane] > 1
    heights = (bottom - top + 1)[shared]
    owner = np.flatnonzero(shared).repeat(heights)
    row = top[owner] + np.arange(len(owner)) - (heights.cumsum() - heights).repeat(heights)
    row += plane[owner] * size[0]
    start, stop = row * size[1] + left[owner], row * size[1] + right[owner] + 1
    order = start.argsort()
    start, stop = start[order], np.maximum.accumulate(stop[order])
    new = stop - np.maximum(start, np.concatenate([[0], stop])[:-1])
    return CellNumbers(drawn=int(areas.sum()), distinct=int(areas[~shared].sum() + new.clip(min=0).sum()))


def _windows(peaks: Peaks, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The first and last column, and the first and last row, of every peak's Gaussian on maps of this size."""
    height, width = size
    left, right = (peaks.x - peaks.radius).clamp(min=0), (peaks.x + peaks.radius).clamp(max=width - 1)
    return left, right, (peaks.y - peaks.radius).clamp(min=0), (peaks.y + peaks.radius).clamp(max=height - 1)
