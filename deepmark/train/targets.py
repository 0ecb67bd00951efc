"""What the maps should say, from a batch's garments.

A sample carries boxes and points; peaks are worked out on the device that trains, for all pictures of a batch at once.
Nothing here loops over garments.

Source: Objects as Points, 2019, section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from deepmark.model.heads import STRIDE, CellIndex
from deepmark.model.landmark_channels import LandmarkLayout
from deepmark.schema import CATEGORIES
from deepmark.train.gaussians import Peaks, gaussian_radius, precision_radius
from deepmark.types import Sample


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
class Targets:
    """What a batch's maps should say."""

    maps: tuple[int, int, int]
    """Number of pictures, height and width of their maps."""

    centers: Peaks
    """One a garment; the channel is its category."""

    sizes: Float[Tensor, "n 2"]
    """Width and height of the box of every centre, cells."""

    landmarks: Peaks
    """One a labelled landmark inside its picture; the channel is its place in the flat list of 294.

    What channel that is in a network's maps is up to their layout: see `landmarks_on`.
    """

    landmark_garment: Int64[Tensor, " m"]
    """The number, in `centers`, of the garment that a landmark belongs to."""

    landmark_vectors: Float[Tensor, "m 2"]
    """From the middle of the garment's box to the landmark, cells."""

    @property
    def cells(self) -> tuple[CellIndex, CellIndex]:
        """Where the loss will look: at centres and at landmarks."""
        return self.centers.cells, self.landmarks.cells

    def landmarks_on(self, layout: LandmarkLayout) -> Peaks:
        """The landmarks, in the channels of maps of this layout."""
        channel_of = torch.tensor(layout.channel_of, device=self.landmarks.channel.device)
        return replace(self.landmarks, channel=channel_of[self.landmarks.channel])

    @property
    def counts(self) -> Float[Tensor, "2"]:
        """How many centres and how many labelled landmarks there are, to be summed over processes."""
        return self.sizes.new_tensor([len(self.centers), len(self.landmarks)])


def make_targets(batch: Batch, *, landmark_radius: Literal["box", "sigma"] = "box") -> Targets:
    """The peaks of a batch.

    A landmark counts, visible or occluded, where it lies inside the picture. A garment without landmarks keeps its
    centre and its size. Heat around a landmark reaches as far as around the middle of its box, or as far as people's
    precision says.
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
    category = batch.categories
    flat = starts[category[garment]] + number

    last_cells = limits.long() // STRIDE - 1
    return Targets(
        maps=(images, height // STRIDE, width // STRIDE),
        centers=_peaks(middles, image=batch.image_index, channel=category, radius=radii, last_cells=last_cells),
        sizes=sizes,
        landmarks=_peaks(
            positions,
            image=batch.image_index[garment],
            channel=flat,
            radius=radii[garment] if landmark_radius == "box" else precision_radius(flat, sizes[garment]),
            last_cells=last_cells,
        ),
        landmark_garment=garment,
        landmark_vectors=positions - middles[garment],
    )


def _peaks(positions: Tensor, *, image: Tensor, channel: Tensor, radius: Tensor, last_cells: Tensor) -> Peaks:
    cells = positions.long().minimum(last_cells)  # the middle of an empty box may lie on the far border
    x, y = cells.unbind(dim=1)
    return Peaks(image=image, channel=channel, x=x, y=y, offset=positions - cells, radius=radius)
