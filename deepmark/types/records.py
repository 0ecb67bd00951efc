"""The labelled images of a data set, and the samples that training makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepmark.shapes import Float, Float32, Float64, Int64, UInt8
from deepmark.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True, slots=True)
class Garment:
    """One labelled garment of one image, after validation."""

    item: str
    """Its key in the annotation file: "item1"."""

    category: int
    """Its index in the vocabulary."""

    style: int
    """Number of its style within the pair; 0 if the garment has no counterpart in the other images of the pair."""

    box: Float[np.ndarray, "4"]
    """x0 y0 x1 y1, pixels, inside the image."""

    landmarks: Float[np.ndarray, "k 3"]
    """x, y in pixels and v: 2 visible, 1 occluded, 0 not labelled (then x = y = 0)."""

    polygons: tuple[Float[np.ndarray, "_ 2"], ...]
    """Segmentation, pixels; polygons may overlap."""

    scale: int
    occlusion: int
    zoom_in: int
    viewpoint: int
    """1..3 each; words in schema.SUBSETS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRecord:
    """One image of the data set and its labelled garments, after validation."""

    id: int
    """The number in the file name; the metric's image_id."""

    file: str
    """Path below the split's folder: "image/000001.jpg"."""

    sha256: str
    """Of the JPEG file, hexadecimal."""

    bytes: int
    """Size of the JPEG file."""

    width: int
    height: int
    """Pixels, as stored in the file."""

    source: str
    """"shop" or "user"."""

    pair_id: int
    garments: tuple[Garment, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A training sample: the network's input image and its garments, from which the target maps are drawn."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB bytes; normalised on the device."""

    boxes: Float32[np.ndarray, "n 4"]
    """Pixels of `image`, clipped to it."""

    categories: Int64[np.ndarray, " n"]

    landmarks: Float32[np.ndarray, "n k 3"]
    """x, y in pixels of `image`, and v; k is the vocabulary's `most_landmarks`.

    Rows past the category's own landmarks, and landmarks outside, have v = 0.
    """

    affine: Float[np.ndarray, "2 3"]
    """The affine map from the original image to `image`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GarmentColumns:
    """Labelled garments as columns, one row each: what the metric and the label audit compare with detections."""

    vocabulary: Vocabulary
    """What they are labelled by."""

    category: Int64[np.ndarray, " n"]
    """Index in the vocabulary's categories."""

    boxes: Float64[np.ndarray, "n 4"]
    """x0 y0 x1 y1, pixels."""

    landmarks: Float64[np.ndarray, "n most_landmarks 3"]
    """x, y in pixels and v; zeros where not labelled and beyond the category's landmarks."""

    def __len__(self) -> int:
        return len(self.category)


def garment_columns(garments: Sequence[Garment], vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """The arrays of `GarmentColumns`."""
    landmarks = np.zeros((len(garments), vocabulary.most_landmarks, 3))
    for rows, garment in zip(landmarks, garments, strict=True):
        rows[: len(garment.landmarks)] = np.where(garment.landmarks[:, 2:] > 0, garment.landmarks, 0.0)
    return {
        "category": np.array([garment.category for garment in garments], np.int64),
        "boxes": np.array([garment.box for garment in garments], np.float64).reshape(-1, 4),
        "landmarks": landmarks,
    }
