"""The values that cross a boundary, from the checked record to the detections.

Plain NumPy, so that nothing before the network needs torch; the network's own output is `HeadMaps` in model/heads.py.
Coordinates are continuous, (0, 0) is the outer corner of the first pixel, boxes are x0 y0 x1 y1 (see geometry.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8

from deepmark.schema import CATEGORIES


@dataclass(frozen=True, kw_only=True, slots=True)
class Garment:
    """One item of one picture, checked."""

    item: str
    """Its key in the annotation file: "item1"."""

    category: int
    """0..12."""

    style: int
    """Number of the style inside the pair; 0 where the item has no counterpart."""

    box: Float[np.ndarray, "4"]
    """x0 y0 x1 y1, pixels, inside the picture."""

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
    """One picture of the data set and what is in it, checked."""

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
    """What the network learns from one picture: the picture as it is fed, and peaks instead of maps of peaks."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB; goes to the device as bytes and is normalised there."""

    boxes: Float32[np.ndarray, "n 4"]
    """Pixels of `image`, clipped to it."""

    categories: Int64[np.ndarray, " n"]

    landmarks: Float32[np.ndarray, "n 39 3"]
    """x, y in pixels of `image`, and v; rows past the category's own landmarks, and landmarks outside, have v = 0."""

    affine: Float[np.ndarray, "2 3"]
    """The affine map from the original picture to `image`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detections:
    """What was found in one picture, best first."""

    boxes: Float32[np.ndarray, "n 4"]
    """Pixels of the original picture."""

    scores: Float32[np.ndarray, " n"]
    """0..1, never increasing."""

    categories: Int64[np.ndarray, " n"]

    landmarks: Float32[np.ndarray, "n 39 2"]
    """Pixels of the original picture; rows past the category's own landmarks are 0."""

    landmark_scores: Float32[np.ndarray, "n 39"]
    """Height of the heatmap peak that placed the landmark; 0 where no peak did and the coarse position stands."""

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: Int64[np.ndarray, " k"] | Bool[np.ndarray, " n"] | slice) -> "Detections":
        """The detections of these rows, by index, mask or slice; scores must still never increase."""
        return Detections(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @classmethod
    def concatenate(cls, parts: Sequence["Detections"]) -> "Detections":
        """The detections of several results of one image, best first; of equal scores, the earlier result's first."""
        names = [field.name for field in fields(cls)]
        together = cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
        return together[np.argsort(-together.scores, kind="stable")]

    def as_dicts(self) -> list[dict[str, Any]]:
        """The same in plain words and numbers, as JSON wants them: one dictionary a garment, best first.

        A landmark is x, y and its score, by its name, in the order of the category's own landmarks.
        """
        return [
            {
                "category": CATEGORIES[category].name,
                "score": float(score),
                "box": box.tolist(),
                "landmarks": dict(
                    # without strict: rows past the category's own landmarks have no names
                    zip(CATEGORIES[category].parts, np.column_stack([points, scores]).tolist(), strict=False)
                ),
            }
            for category, score, box, points, scores in zip(
                self.categories.tolist(), self.scores, self.boxes, self.landmarks, self.landmark_scores, strict=True
            )
        ]


class Prediction(NamedTuple):
    """The detections in one image of a data set."""

    image_id: int
    file: str
    """As in its ImageRecord."""

    detections: Detections
