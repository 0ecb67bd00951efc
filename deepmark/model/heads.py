"""The network's output, six maps per image, and the heads that compute them.

Maps are in cells of `STRIDE` input pixels. The cell of a point p (input pixels) is floor(p / STRIDE), and the
remainder, p / STRIDE - cell, is its offset.

Source: DeepMark, 2019, section 3; Objects as Points, 2019, sections 3 and 4.
"""

from dataclasses import dataclass, fields
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepmark.model.landmark_channels import LandmarkLayout
from deepmark.shapes import Float, Int64

STRIDE = 4
"""Input pixels per cell, in both directions."""


def head_channels(layout: LandmarkLayout) -> dict[str, int]:
    """The number of channels of every head, by its name: 901 together for DeepFashion2, 259 with grouped landmarks."""
    return {
        "center_heatmap": len(layout.vocabulary.categories),
        "size": 2,
        "center_offset": 2,
        "landmark_vectors": 2 * layout.channels,
        "landmark_heatmap": layout.channels,
        "landmark_offset": 2,
    }


_FIRST_LOGIT = -2.19
"""The start value of every heatmap cell: probability 0.1, so that empty cells do not dominate the first steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellIndex:
    """The index of k cells in the maps of a batch."""

    image: Int64[Tensor, " k"]
    x: Int64[Tensor, " k"]
    y: Int64[Tensor, " k"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadMaps:
    """The network's output for a batch of images, in logits and cells; nothing is decoded."""

    center_heatmap: Float[Tensor, "b c h w"]
    """Logits: is the middle of a garment's box of this category in this cell?"""

    size: Float[Tensor, "b 2 h w"]
    """Width and height, in that order, of the box whose middle is here, cells."""

    center_offset: Float[Tensor, "b 2 h w"]
    """x, y of that middle inside the cell, 0..1."""

    landmark_vectors: Float[Tensor, "b v h w"]
    """From the middle of that box to its landmarks, cells: 2 c is x of the landmark of channel c, 2 c + 1 its y.

    The middle is the point itself, cell + center_offset, not the corner of its cell.
    """

    landmark_heatmap: Float[Tensor, "b v//2 h w"]
    """Logits: is the landmark of this channel, of any garment, in this cell?"""

    landmark_offset: Float[Tensor, "b 2 h w"]
    """x, y of the landmark inside its cell, 0..1, whichever landmark it is."""

    def mirror(self, layout: LandmarkLayout) -> "HeadMaps":
        """The maps of the image, from the maps of its mirror image; `layout` is that of the landmarks.

        Columns are reversed, landmark channels are swapped with their mirror partners, vectors change their sign in x,
        and offsets x become 1 - x.
        """
        pairs = torch.tensor(layout.mirror, device=self.size.device)
        vectors = self.landmark_vectors.flip(-1)[:, torch.stack([2 * pairs, 2 * pairs + 1], dim=1).flatten()]
        vectors[:, 0::2] = -vectors[:, 0::2]
        return HeadMaps(
            center_heatmap=self.center_heatmap.flip(-1),
            size=self.size.flip(-1),
            center_offset=_mirror_offset(self.center_offset),
            landmark_vectors=vectors,
            landmark_heatmap=self.landmark_heatmap.flip(-1)[:, pairs],
            landmark_offset=_mirror_offset(self.landmark_offset),
        )

    def __getitem__(self, images: slice) -> "HeadMaps":
        """The maps of some of the images."""
        return HeadMaps(**{field.name: getattr(self, field.name)[images] for field in fields(self)})

    def gather_at(self, centers: CellIndex, landmarks: CellIndex) -> "GatheredHeads":
        """The values of the maps at the centres of garments and at their landmarks."""
        return GatheredHeads(
            center_heatmap=self.center_heatmap,
            size=_gather(self.size, centers),
            center_offset=_gather(self.center_offset, centers),
            landmark_vectors=_gather(self.landmark_vectors, centers),
            landmark_heatmap=self.landmark_heatmap,
            landmark_offset=_gather(self.landmark_offset, landmarks),
        )


HEADS: tuple[str, ...] = tuple(field.name for field in fields(HeadMaps))
"""The names of the six heads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GatheredHeads:
    """The part of the maps that the loss needs: whole heatmaps, and the other four where there is a target."""

    center_heatmap: Float[Tensor, "b c h w"]
    size: Float[Tensor, "n 2"]
    center_offset: Float[Tensor, "n 2"]
    landmark_vectors: Float[Tensor, "n v"]
    """At the centres of the n garments."""

    landmark_heatmap: Float[Tensor, "b v//2 h w"]
    landmark_offset: Float[Tensor, "m 2"]
    """At the m landmarks."""


def _gather(maps: Float[Tensor, "b c h w"], cells: CellIndex) -> Float[Tensor, "k c"]:
    return maps[cells.image, :, cells.y, cells.x]


def _mirror_offset(offset: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b 2 h w"]:
    x, y = offset.flip(-1).unbind(1)
    return torch.stack([1 - x, y], dim=1)


class Heads(nn.Module):
    """The six heads over one feature map."""

    def __init__(self, features: int, *, hidden: int, layout: LandmarkLayout) -> None:
        super().__init__()
        self.layout = layout
        """Which landmark each channel shows."""

        channels = head_channels(layout)
        self.center_heatmap = Head(features, hidden, channels["center_heatmap"])
        self.size = Head(features, hidden, channels["size"])
        self.center_offset = Head(features, hidden, channels["center_offset"])
        self.landmark_vectors = Head(features, hidden, channels["landmark_vectors"])
        self.landmark_heatmap = Head(features, hidden, channels["landmark_heatmap"])
        self.landmark_offset = Head(features, hidden, channels["landmark_offset"])

    def forward(self, features: Float[Tensor, "b c h w"]) -> HeadMaps:
        return HeadMaps(
            center_heatmap=self.center_heatmap(features),
            size=self.size(features),
            center_offset=self.center_offset(features),
            landmark_vectors=self.landmark_vectors(features),
            landmark_heatmap=self.landmark_heatmap(features),
            landmark_offset=self.landmark_offset(features),
        )

    def gather_at(self, features: Float[Tensor, "b c h w"], centers: CellIndex, landmarks: CellIndex) -> GatheredHeads:
        """The same as `forward(features).gather_at(centers, landmarks)`, but no other cells are computed."""
        around_centers, around_landmarks = _windows(features, centers), _windows(features, landmarks)
        return GatheredHeads(
            center_heatmap=self.center_heatmap(features),
            size=self.size.at_windows(around_centers),
            center_offset=self.center_offset.at_windows(around_centers),
            landmark_vectors=self.landmark_vectors.at_windows(around_centers),
            landmark_heatmap=self.landmark_heatmap(features),
            landmark_offset=self.landmark_offset.at_windows(around_landmarks),
        )

    def reset_outputs(self) -> None:
        """Set the last layers to their start values: almost zero, and a probability of 0.1 in every heatmap cell."""
        for name in HEADS:
            _, last = getattr(self, name).convolutions
            nn.init.normal_(last.weight, std=0.001)
            nn.init.constant_(last.bias, _FIRST_LOGIT if name.endswith("heatmap") else 0.0)


class Head(nn.Sequential):
    """A 3x3 convolution, ReLU and a 1x1 convolution; layers are numbered as in CenterNet's checkpoints."""

    def __init__(self, features: int, hidden: int, channels: int) -> None:
        super().__init__(
            nn.Conv2d(features, hidden, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1)
        )

    @property
    def convolutions(self) -> tuple[nn.Conv2d, nn.Conv2d]:
        return cast(nn.Conv2d, self[0]), cast(nn.Conv2d, self[2])

    def at_windows(self, windows: Float[Tensor, "k n"]) -> Float[Tensor, "k d"]:
        """The output of the head at the middles of 3x3 windows of the features."""
        first, last = self.convolutions
        hidden = F.relu(F.linear(windows, first.weight.flatten(1), first.bias))
        return F.linear(hidden, last.weight.flatten(1), last.bias)


def _windows(features: Float[Tensor, "b c h w"], cells: CellIndex) -> Float[Tensor, "k c*9"]:
    """The 3x3 windows around cells, zero past the border, flattened in the order of a convolution's weights."""
    padded = F.pad(features, (1, 1, 1, 1))
    step = torch.arange(3, device=features.device)
    image, y, x = cells.image[:, None, None], cells.y[:, None, None] + step[:, None], cells.x[:, None, None] + step
    return padded[image, :, y, x].permute(0, 3, 1, 2).flatten(1)
