"""The targets of a batch as the losses read them: on the training device, and for maps of one layout of landmarks.

Everything whose number depends on the labels is counted here, on the host: landmarks, the cells that Gaussians cover,
the maps of an image's own categories. A step then has no tensor whose size the device decides, so nothing in it waits.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor

from deepmark.model.heads import CellIndex
from deepmark.model.landmark_channels import LandmarkLayout
from deepmark.shapes import Bool, Float, Float64, Int64
from deepmark.train.gaussians import CellNumbers, Peaks, count_cells
from deepmark.train.targets import Targets


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnMaps:
    """The p landmark maps that show a category which is in their image."""

    image: Int64[Tensor, " p"]
    channel: Int64[Tensor, " p"]
    """In the order of images, then of channels."""

    number: Int64[Tensor, "b c"]
    """The place of each of all maps in this list; of no meaning where a map is not in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LossTargets:
    """What `Targets` says of a batch, for maps of one layout."""

    maps: tuple[int, int, int]
    """Number of images, height and width of their maps."""

    counts: Float[Tensor, "2"]
    """The numbers of centres and of labelled landmarks, to be summed over processes."""

    centers: Peaks
    sizes: Float[Tensor, "n 2"]
    center_numbers: CellNumbers
    """Of the cells around the centres."""

    landmarks: Peaks
    """Their channels are those of the layout's maps."""

    landmark_garment: Int64[Tensor, " m"]
    landmark_vectors: Float[Tensor, "m 2"]
    landmark_sigmas: Float64[Tensor, " m"]
    landmark_numbers: CellNumbers
    """Of the cells around the landmarks."""

    own: OwnMaps | None
    """The landmark maps that are learnt; None: all."""

    @property
    def cells(self) -> tuple[CellIndex, CellIndex]:
        """The cells that the loss needs: of centres and of landmarks."""
        return self.centers.cells, self.landmarks.cells

    def to(self, device: torch.device) -> "LossTargets":
        """The same on a device. Nobody waits for the copy: to a GPU it starts from pinned memory."""
        return _moved(self, device)


def loss_targets(
    targets: Targets, layout: LandmarkLayout, *, landmark_channels: Literal["all", "own"] = "all"
) -> LossTargets:
    """The targets for maps of this layout, still on the host.

    With "own", the landmark heatmaps of an image are trained only on the channels of the categories that are in it.
    """
    centers, landmarks = targets.centers, targets.landmarks_on(layout)
    return LossTargets(
        maps=targets.maps,
        counts=targets.counts,
        centers=centers,
        sizes=targets.sizes,
        center_numbers=count_cells(centers, targets.maps[1:]),
        landmarks=landmarks,
        landmark_garment=targets.landmark_garment,
        landmark_vectors=targets.landmark_vectors,
        landmark_sigmas=targets.landmark_sigmas,
        landmark_numbers=count_cells(landmarks, targets.maps[1:]),
        own=_own_maps(targets, layout) if landmark_channels == "own" else None,
    )


def _own_maps(targets: Targets, layout: LandmarkLayout) -> OwnMaps:
    table, centers = torch.from_numpy(layout.of_category), targets.centers
    present = torch.zeros(targets.maps[0], len(table), dtype=torch.bool)
    present[centers.image, centers.channel] = True
    own: Bool[Tensor, "b c"] = (present[:, :, None] & table).any(dim=1)
    image, channel = own.nonzero(as_tuple=True)
    return OwnMaps(image=image, channel=channel, number=own.flatten().cumsum(0).view(own.shape) - 1)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return (value.pin_memory() if device.type == "cuda" else value).to(device, non_blocking=True)
    if isinstance(value, LossTargets | Peaks | OwnMaps):
        return type(value)(**{field.name: _moved(getattr(value, field.name), device) for field in fields(value)})
    return value
