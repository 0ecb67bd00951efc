"""Test-time augmentation: detection also in the mirrored image and in smaller copies of it.

Source: DeepMark, 2019, section 4 (inference strategies): the maps of the image and of its mirror image are averaged
with equal weights; detections at scales 1 and 0.75 are merged by NMS.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from deepmark import geometry
from deepmark.model.detector import Detector
from deepmark.model.heads import HeadMaps
from deepmark.shapes import Float

_NAMES = [field.name for field in fields(HeadMaps)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Letterbox:
    """Where an image lies on a canvas."""

    affine: Float[np.ndarray, "2 3"]
    """From the image to the canvas, pixels."""

    canvas: tuple[int, int]
    """Height and width."""


def letterbox_at_scale(
    size: tuple[int, int], input_size: tuple[int, int], scale: float, *, size_divisor: int
) -> Letterbox:
    """Place an image of `size` in the middle of a canvas, at `scale` times the size that fits the network's input.

    The canvas is the smallest that holds every image and whose sides are multiples of `size_divisor`, as the network
    needs them. It does not depend on the size of the image, so all images of a batch share it.
    """
    height, width = (size_divisor * int(np.ceil(side * scale / size_divisor)) for side in input_size)
    affine = geometry.letterbox(size, input_size, scale=scale)
    affine[:, 2] += (width - input_size[1]) / 2, (height - input_size[0]) / 2
    return Letterbox(affine=affine, canvas=(height, width))


def flipped_and_averaged(detector: Detector, images: Float[Tensor, "b 3 h w"]) -> HeadMaps:
    """The mean of the maps of the images and, mirrored back, of their mirror images.

    Images are mirrored on their own device, and the network sees both halves as one batch.
    """
    both = detector(torch.cat([images, images.flip(-1)]))
    halves = [HeadMaps(**{name: getattr(both, name).chunk(2)[i] for name in _NAMES}) for i in (0, 1)]
    return average(halves[0], halves[1].mirror(detector.layout))


def average(maps: HeadMaps, others: HeadMaps) -> HeadMaps:
    """The mean of two outputs with equal weights; heatmaps are averaged as probabilities and returned as logits.

    Offsets are those of `maps`: where the two have a peak in different cells, a mean would fit neither (CenterNet's
    published code does the same).
    """

    def mean(name: str) -> Tensor:
        a, b = getattr(maps, name).float(), getattr(others, name).float()
        if name.endswith("offset"):
            return a
        return ((a.sigmoid() + b.sigmoid()) / 2).logit() if name.endswith("heatmap") else (a + b) / 2

    return HeadMaps(**{name: mean(name) for name in _NAMES})
