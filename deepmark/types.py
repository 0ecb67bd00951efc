"""The values that modules hand to each other, from the validated record to the detections.

Plain NumPy, so that nothing before the network needs torch; the network's own output is `HeadMaps` in model/heads.py.
Coordinates are continuous, (0, 0) is the outer corner of the first pixel, boxes are x0 y0 x1 y1 (see geometry.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8

from deepmark.schema import CATEGORIES, MOST_LANDMARKS

if TYPE_CHECKING:
    import pandas as pd
    import PIL.Image


@dataclass(frozen=True, kw_only=True, slots=True)
class Garment:
    """One labelled garment of one image, after validation."""

    item: str
    """Its key in the annotation file: "item1"."""

    category: int
    """0..12."""

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

    landmarks: Float32[np.ndarray, "n 39 3"]
    """x, y in pixels of `image`, and v; rows past the category's own landmarks, and landmarks outside, have v = 0."""

    affine: Float[np.ndarray, "2 3"]
    """The affine map from the original image to `image`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detections:
    """The garments detected in one image, best first."""

    boxes: Float32[np.ndarray, "n 4"]
    """x0 y0 x1 y1, pixels of the original image."""

    scores: Float32[np.ndarray, " n"]
    """0..1, never increasing."""

    categories: Int64[np.ndarray, " n"]
    """0..12, the index in schema.CATEGORIES."""

    landmarks: Float32[np.ndarray, "n 39 2"]
    """Pixels of the original image; rows past the category's own landmarks are 0."""

    landmark_scores: Float32[np.ndarray, "n 39"]
    """Height of the heatmap peak that placed the landmark; 0 where no peak did and the coarse position stands."""

    source: Any = None
    """What the image was read from, if it was given to a detector of `load_detector`; `draw` reads it again."""

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: int | slice | Int64[np.ndarray, " k"] | Bool[np.ndarray, " n"]) -> "Detections":
        """The detections of these rows, by index, mask or slice, where scores must still never increase.

        One number gives one detection, so that a loop goes through them one by one.
        """
        if not isinstance(rows, slice | np.ndarray):
            rows = np.array([rows])
        return Detections(**{name: getattr(self, name)[rows] for name in COLUMNS}, source=self.source)

    @classmethod
    def concatenate(cls, parts: Sequence["Detections"]) -> "Detections":
        """The detections of several results of one image, best first; of equal scores, the earlier result's first."""
        together = cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS})
        return together[np.argsort(-together.scores, kind="stable")]

    def __repr__(self) -> str:
        """A table of the best ten: category, score, box, and the number of landmarks."""
        lines = [f"Detections of {len(self)} garment{'s' * (len(self) != 1)}" + ":" * (len(self) > 0)]
        if len(self):
            lines.append(f"{'category':22}score {'x0':>7} {'y0':>7} {'x1':>7} {'y1':>7}  landmarks")
        for category, score, box in zip(self.categories[:10].tolist(), self.scores, self.boxes, strict=False):
            name, count = CATEGORIES[category].name, CATEGORIES[category].landmarks
            lines.append(f"{name:22}{score:5.2f} {' '.join(f'{corner:7.1f}' for corner in box)}  {count:9}")
        if len(self) > 10:
            lines.append(f"and {len(self) - 10} more of lower scores")
        return "\n".join(lines)

    def as_dicts(self) -> list[dict[str, Any]]:
        """The same in plain names and numbers for JSON: one dictionary for each garment, best first.

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

    def draw(self, image: Any = None, *, min_score: float = 0.0) -> "PIL.Image.Image":
        """The image with every detection of at least `min_score` drawn on it; small images come back enlarged.

        `image` is a path, the bytes of a file, a PIL image or an RGB array; without it, the one that the detector got.
        """
        return _above("draw")(self, self.source if image is None else image, min_score=min_score)

    def to_pandas(self, *, landmarks: bool = False) -> "pd.DataFrame":
        """A row for each garment: category, score, x0, y0, x1, y1; pixels.

        With `landmarks`, a row for each landmark: garment (the number of its row, from 0), category, landmark (its
        name), x, y, score.
        """
        return _above("to_pandas")(self, landmarks=landmarks)

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """COCO results: image_id, category_id 1..13, bbox as x, y, width, height, score, 294 x 3 keypoints."""
        return _above("to_coco")(self, image_id)

    def to_supervision(self) -> Any:
        """A `supervision.Detections`; its `data` holds class_name, landmarks (n, 39, 2) and landmark_scores (n, 39).

        Raises DeepmarkError if the package supervision is not installed.
        """
        return _above("to_supervision")(self)


COLUMNS = ("boxes", "scores", "categories", "landmarks", "landmark_scores")
"""The fields of Detections that have a row for each garment."""


def stack_landmarks(garments: Sequence[Garment]) -> Float[np.ndarray, "n 39 3"]:
    """The landmarks of the garments in one array; rows past a category's own landmarks are 0."""
    stacked = np.zeros((len(garments), MOST_LANDMARKS, 3))
    for rows, garment in zip(stacked, garments, strict=True):
        rows[: len(garment.landmarks)] = garment.landmarks
    return stacked


def _above(name: str) -> Any:
    """A function of a higher layer, imported when a person asks for it, as the names of deepmark/__init__.py are."""
    return getattr(import_module("deepmark.infer.detection_formats"), name)


class Prediction(NamedTuple):
    """The detections in one image of a data set."""

    image_id: int
    file: str
    """As in its ImageRecord."""

    detections: Detections
