"""The training targets of a batch, from its garments.

Samples carry boxes and points; the peaks are computed on the host, for all images of a batch at once and without a loop
over garments. How many there are is then known without waiting for a device.

Source: Objects as Points, 2019, section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from deepmark.model.heads import STRIDE, CellIndex
from deepmark.model.landmark_channels import LandmarkLayout
from deepmark.shapes import Float, Float64, Int64, UInt8
from deepmark.train.gaussians import Peaks, gaussian_radius, sigma_radius
from deepmark.types import Sample
from deepmark.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Samples as tensors: the images stacked, and the garments of all images in one list, which stays on the host."""

    images: UInt8[Tensor, "b h w 3"]
    """RGB, on any device."""

    boxes: Float[Tensor, "n 4"]
    """x0 y0 x1 y1, pixels of `images`, clipped to them."""

    categories: Int64[Tensor, " n"]

    landmarks: Float[Tensor, "n k 3"]
    """x, y in pixels of `images`, and v; not labelled where v = 0."""

    image_index: Int64[Tensor, " n"]
    """The image of the batch that the garment is in."""

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        """The batch with its images on the device."""
        return replace(self, images=self.images.to(device, non_blocking=non_blocking))


def collate(samples: Sequence[Sample], *, pinned: bool = False) -> Batch:
    """The samples, at least one and all of one size, as one batch.

    From pinned memory images are copied to a GPU while the GPU works on others; this needs CUDA.
    """
    images = torch.empty((len(samples), *samples[0].image.shape), dtype=torch.uint8, pin_memory=pinned)
    np.stack([sample.image for sample in samples], out=images.numpy())
    garments = {
        "boxes": np.concatenate([sample.boxes for sample in samples]),
        "categories": np.concatenate([sample.categories for sample in samples]),
        "landmarks": np.concatenate([sample.landmarks for sample in samples]),
        "image_index": np.repeat(np.arange(len(samples)), [len(sample.categories) for sample in samples]),
    }
    return Batch(images=images, **{name: torch.from_numpy(values) for name, values in garments.items()})


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """What the maps of a batch should show."""

    vocabulary: Vocabulary
    """Whose categories and landmarks they are."""

    maps: tuple[int, int, int]
    """Number of images, height and width of their maps."""

    centers: Peaks
    """One per garment; the channel is its category."""

    sizes: Float[Tensor, "n 2"]
    """Width and height of the box of every centre, cells."""

    landmarks: Peaks
    """One per labelled landmark inside its image; the channel is its index in the vocabulary's flat list.

    The layout of a network's maps decides which of their channels that is: see `landmarks_on`.
    """

    landmark_garment: Int64[Tensor, " m"]
    """The index, in `centers`, of the garment that a landmark belongs to."""

    landmark_vectors: Float[Tensor, "m 2"]
    """From the middle of the garment's box to the landmark, cells."""

    @property
    def cells(self) -> tuple[CellIndex, CellIndex]:
        """The cells that the loss needs: of centres and of landmarks."""
        return self.centers.cells, self.landmarks.cells

    def landmarks_on(self, layout: LandmarkLayout) -> Peaks:
        """The landmarks, in the channels of maps of this layout."""
        channel_of = torch.tensor(layout.channel_of, device=self.landmarks.channel.device)
        return replace(self.landmarks, channel=channel_of[self.landmarks.channel])

    @property
    def landmark_sigmas(self) -> Float64[Tensor, " m"]:
        """The OKS sigma of each landmark."""
        sigmas = torch.tensor(self.vocabulary.sigmas, dtype=torch.float64, device=self.landmarks.channel.device)
        return sigmas[self.landmarks.channel]

    @property
    def counts(self) -> Float[Tensor, "2"]:
        """The numbers of centres and of labelled landmarks, to be summed over processes."""
        return self.sizes.new_tensor([len(self.centers), len(self.landmarks)])


def make_targets(batch: Batch, vocabulary: Vocabulary, *, landmark_radius: Literal["box", "sigma"] = "box") -> Targets:
    """The peaks of a batch, whose garments are of the vocabulary.

    Landmarks count, visible or occluded, if they lie inside the image. A garment without landmarks still has a centre
    and a size. The Gaussian around a landmark has the radius of its garment's box ("box"), or one that follows from the
    precision of human annotators ("sigma").
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
    starts = torch.tensor([category.start for category in vocabulary.categories], device=batch.categories.device)
    category = batch.categories
    flat = starts[category[garment]] + number

    last_cells = limits.long() // STRIDE - 1
    targets = Targets(
        vocabulary=vocabulary,
        maps=(images, height // STRIDE, width // STRIDE),
        centers=_peaks(middles, image=batch.image_index, channel=category, radius=radii, last_cells=last_cells),
        sizes=sizes,
        landmarks=_peaks(
            positions,
            image=batch.image_index[garment],
            channel=flat,
            radius=radii[garment],
            last_cells=last_cells,
        ),
        landmark_garment=garment,
        landmark_vectors=positions - middles[garment],
    )
    if landmark_radius == "box":
        return targets
    radius = sigma_radius(targets.landmark_sigmas, sizes[garment])
    return replace(targets, landmarks=replace(targets.landmarks, radius=radius))


def _peaks(positions: Tensor, *, image: Tensor, channel: Tensor, radius: Tensor, last_cells: Tensor) -> Peaks:
    cells = positions.long().minimum(last_cells)  # the centre of an empty box may lie on the far border
    x, y = cells.unbind(dim=1)
    return Peaks(image=image, channel=channel, x=x, y=y, offset=positions - cells, radius=radius)
