"""What the maps should say: peaks from a batch's garments, and the Gaussians around them.

A sample carries boxes and points; peaks are worked out, and Gaussians drawn, on the device that trains, for all
pictures of a batch at once. Nothing here loops over garments.

Source: Objects as Points, 2019, section 3; the radius as in its published code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from deepmark.model.heads import STRIDE, Cells
from deepmark.schema import CATEGORIES
from deepmark.types import Sample

_OVERLAP = 0.7
"""The intersection over union that CenterNet's radius is derived from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Samples on their way to the device: pictures stacked, garments of all pictures in one list."""

    images: UInt8[Tensor, "b h w 3"]
    """RGB."""

    boxes: Float[Tensor, "n 4"]
    """x0 y0 x1 y1, pixels of `images`, clipped to them."""

    categories: Int64[Tensor, " n"]

    landmarks: Float[Tensor, "n 39 3"]
    """x, y in pixels of `images`, and v; not labelled where v = 0."""

    image_index: Int64[Tensor, " n"]
    """Which picture of the batch the garment is in."""

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        moved = {field.name: getattr(self, field.name).to(device, non_blocking=non_blocking) for field in fields(self)}
        return Batch(**moved)


def collate(samples: Sequence[Sample], *, pinned: bool = False) -> Batch:
    """The samples as one batch; at least one, all of one size.

    In pinned memory a batch can travel to a GPU while the GPU works on another; only machines with CUDA have some.
    """
    images = torch.empty((len(samples), *samples[0].image.shape), dtype=torch.uint8, pin_memory=pinned)
    np.stack([sample.image for sample in samples], out=images.numpy())
    garments = {
        "boxes": np.concatenate([sample.boxes for sample in samples]),
        "categories": np.concatenate([sample.categories for sample in samples]),
        "landmarks": np.concatenate([sample.landmarks for sample in samples]),
        "image_index": np.repeat(np.arange(len(samples)), [len(sample.categories) for sample in samples]),
    }
    tensors = {name: torch.from_numpy(values) for name, values in garments.items()}
    return Batch(images=images, **{name: each.pin_memory() if pinned else each for name, each in tensors.items()})


@dataclass(frozen=True, kw_only=True, slots=True)
class Peaks:
    """Cells of a stack of heatmaps where something is, k of them."""

    image: Int64[Tensor, " k"]
    channel: Int64[Tensor, " k"]
    x: Int64[Tensor, " k"]
    y: Int64[Tensor, " k"]
    """The cell's column and row."""

    offset: Float[Tensor, "k 2"]
    """x, y inside the cell, 0..1."""

    radius: Int64[Tensor, " k"]
    """Cells around the peak that count as nearly right."""

    @property
    def cells(self) -> Cells:
        return Cells(image=self.image, x=self.x, y=self.y)

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """What a batch's maps should say."""

    maps: tuple[int, int, int]
    """Number of pictures, height and width of their maps."""

    centers: Peaks
    """One a garment; the channel is its category."""

    sizes: Float[Tensor, "n 2"]
    """Width and height of the box of every centre, cells."""

    landmarks: Peaks
    """One a labelled landmark inside its picture; the channel is its place in the flat list of 294."""

    landmark_garment: Int64[Tensor, " m"]
    """The number, in `centers`, of the garment that a landmark belongs to."""

    landmark_vectors: Float[Tensor, "m 2"]
    """From the middle of the garment's box to the landmark, cells."""

    @property
    def cells(self) -> tuple[Cells, Cells]:
        """Where the loss will look: at centres and at landmarks."""
        return self.centers.cells, self.landmarks.cells

    @property
    def counts(self) -> Float[Tensor, "2"]:
        """How many centres and how many labelled landmarks there are, to be summed over processes."""
        return self.sizes.new_tensor([len(self.centers), len(self.landmarks)])


def make_targets(batch: Batch) -> Targets:
    """The peaks of a batch.

    A landmark counts, visible or occluded, where it lies inside the picture. A garment without landmarks keeps its
    centre and its size.
    """
    images, height, width, _ = batch.images.shape
    limits = batch.boxes.new_tensor([width, height])
    cells = batch.boxes / STRIDE
    middles, sizes = (cells[:, :2] + cells[:, 2:]) / 2, cells[:, 2:] - cells[:, :2]
    radii = gaussian_radius(sizes)

    points, labels = batch.landmarks[..., :2], batch.landmarks[..., 2]
    inside = ((points >= 0) & (points < limits)).all(dim=-1)
    garment, number = ((labels > 0) & inside).nonzero(as_tuple=True)
    positions = points[garment, number] / STRIDE
    starts = torch.tensor([category.start for category in CATEGORIES], device=batch.categories.device)

    last_cells = limits.long() // STRIDE - 1
    category = batch.categories
    return Targets(
        maps=(images, height // STRIDE, width // STRIDE),
        centers=_peaks(middles, image=batch.image_index, channel=category, radius=radii, last_cells=last_cells),
        sizes=sizes,
        landmarks=_peaks(
            positions,
            image=batch.image_index[garment],
            channel=starts[category[garment]] + number,
            radius=radii[garment],
            last_cells=last_cells,
        ),
        landmark_garment=garment,
        landmark_vectors=positions - middles[garment],
    )


def _peaks(positions: Tensor, *, image: Tensor, channel: Tensor, radius: Tensor, last_cells: Tensor) -> Peaks:
    cells = positions.long().minimum(last_cells)  # the middle of an empty box may lie on the far border
    x, y = cells.unbind(dim=1)
    return Peaks(image=image, channel=channel, x=x, y=y, offset=positions - cells, radius=radius)


def gaussian_radius(sizes: Float[Tensor, "n 2"]) -> Int64[Tensor, " n"]:
    """How far from the middle a cell is still nearly right, for boxes of these sizes, all in cells.

    CenterNet's published code to the digit: of its three solutions, the least is always that of a box which grows on
    all sides, divided by 2 and not by 2 a = 5.6. So it is about three times as far as an overlap of 0.7 allows, and
    that is for the better: box AP50 .74 with it, .66 with the true one, on the demo's data (docs/results.md).
    """
    width, height = sizes.double().ceil().unbind(dim=1)
    a, b, c = 4 * _OVERLAP, -2 * _OVERLAP * (height + width), (_OVERLAP - 1) * width * height
    radius = (b + (b**2 - 4 * a * c).sqrt()) / 2
    return (radius + 1e-9).long()  # a box of 15 x 70 has 7 exactly, which a device's square root may just miss


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnCells:
    """The cells that Gaussians cover; a cell under several of them appears once for each."""

    image: Int64[Tensor, " d"]
    channel: Int64[Tensor, " d"]
    x: Int64[Tensor, " d"]
    y: Int64[Tensor, " d"]
    value: Float[Tensor, " d"]
    """0..1, and exactly 1 at peaks."""


def draw_cells(peaks: Peaks, size: tuple[int, int]) -> DrawnCells:
    """The Gaussians around peaks, on maps of this height and width, as a list of cells."""
    height, width = size
    left, right = (peaks.x - peaks.radius).clamp(min=0), (peaks.x + peaks.radius).clamp(max=width - 1)
    top, bottom = (peaks.y - peaks.radius).clamp(min=0), (peaks.y + peaks.radius).clamp(max=height - 1)
    columns = right - left + 1
    counts = columns * (bottom - top + 1)
    owner = torch.repeat_interleave(counts)
    place = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[owner]
    x, y = left[owner] + place % columns[owner], top[owner] + place // columns[owner]
    square = ((x - peaks.x[owner]) ** 2 + (y - peaks.y[owner]) ** 2).double()
    sigma = (2 * peaks.radius + 1).double() / 6
    # The smallest value, in a corner of the window, is above exp(-9): nothing falls below the published eps.
    value = torch.exp(-square / (2 * sigma**2)[owner]).to(peaks.offset.dtype)
    return DrawnCells(image=peaks.image[owner], channel=peaks.channel[owner], x=x, y=y, value=value)


def draw_heatmap(peaks: Peaks, *, shape: tuple[int, int, int, int]) -> Float[Tensor, "b c h w"]:
    """The perfect heatmaps: Gaussians around the peaks, the greatest where several overlap, 0 elsewhere."""
    cells = draw_cells(peaks, shape[2:])
    heatmap = cells.value.new_zeros(shape)
    index = ((cells.image * shape[1] + cells.channel) * shape[2] + cells.y) * shape[3] + cells.x
    heatmap.view(-1).scatter_reduce_(0, index, cells.value, "amax")
    return heatmap
