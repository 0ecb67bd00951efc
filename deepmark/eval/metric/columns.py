"""Truth and results as columns: one row an item, one row a detection, pictures in rising order of their ids.

The whole validation set with 20 results a picture is 0.3 GB like this; as COCO's dictionaries it is 28 GB.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from deepmark.errors import DeepmarkError
from deepmark.schema import MOST_LANDMARKS
from deepmark.types import Detections, ImageRecord, Prediction


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """The items of a set of pictures."""

    images: Int64[np.ndarray, " p"]
    """Ids of the pictures, rising; also those without items."""

    image: Int64[np.ndarray, " n"]
    """Which picture an item is in, a row of `images`; never falling."""

    category: Int64[np.ndarray, " n"]
    """0..12."""

    boxes: Float64[np.ndarray, "n 4"]
    """x0 y0 x1 y1, pixels."""

    landmarks: Float64[np.ndarray, "n 39 3"]
    """x, y in pixels and v; zeros where not labelled and beyond the category's landmarks."""

    def __len__(self) -> int:
        return len(self.image)

    @property
    def labelled(self) -> Bool[np.ndarray, "n 39"]:
        """Which landmarks count."""
        return self.landmarks[:, :, 2] > 0

    def visible_only(self) -> "Truth":
        """The same items where occluded landmarks count as not labelled: v = 1 becomes 0."""
        return replace(self, landmarks=np.where(self.landmarks[:, :, 2:] > 1, self.landmarks, 0.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """The detections in the same pictures; in one picture, best first."""

    image: Int64[np.ndarray, " m"]
    """Which picture, a row of `Truth.images`; never falling."""

    category: Int64[np.ndarray, " m"]
    boxes: Float64[np.ndarray, "m 4"]
    scores: Float64[np.ndarray, " m"]
    landmarks: Float32[np.ndarray, "m 39 2"]

    def __len__(self) -> int:
        return len(self.image)


def truth_columns(records: Iterable[ImageRecord]) -> Truth:
    """The labelled items of these pictures."""
    ordered = sorted(records, key=lambda record: record.id)
    garments = [garment for record in ordered for garment in record.garments]
    landmarks = np.zeros((len(garments), MOST_LANDMARKS, 3))
    for row, garment in zip(landmarks, garments, strict=True):
        row[: len(garment.landmarks)] = np.where(garment.landmarks[:, 2:] > 0, garment.landmarks, 0.0)
    return Truth(
        images=np.array([record.id for record in ordered], np.int64),
        image=np.repeat(np.arange(len(ordered)), [len(record.garments) for record in ordered]),
        category=np.array([garment.category for garment in garments], np.int64),
        boxes=np.array([garment.box for garment in garments], np.float64).reshape(-1, 4),
        landmarks=landmarks,
    )


def result_columns(predictions: Iterable[Prediction], truth: Truth) -> Results:
    """The detections in the pictures of `truth`, each of which has its predictions, none found included.

    Raises DeepmarkError where predictions and truth are not of the same pictures.
    """
    ordered = sorted(predictions, key=lambda prediction: prediction.image_id)
    _check_pictures(truth.images.tolist(), [prediction.image_id for prediction in ordered])
    found = [prediction.detections for prediction in ordered]
    none = Detections(
        boxes=np.empty((0, 4), np.float32),
        scores=np.empty(0, np.float32),
        categories=np.empty(0, np.int64),
        landmarks=np.empty((0, MOST_LANDMARKS, 2), np.float32),
        landmark_scores=np.empty((0, MOST_LANDMARKS), np.float32),
    )
    parts = found or [none]
    return Results(
        image=np.repeat(np.arange(len(found)), [len(detections) for detections in found]),
        category=np.concatenate([detections.categories for detections in parts]),
        boxes=np.concatenate([detections.boxes for detections in parts]).astype(np.float64),
        scores=np.concatenate([detections.scores for detections in parts]).astype(np.float64),
        landmarks=np.concatenate([detections.landmarks for detections in parts]),
    )


def _check_pictures(known: list[int], predicted: list[int]) -> None:
    faults = {
        "without predictions": set(known) - set(predicted),
        "predicted but not in the records": set(predicted) - set(known),
        "predicted twice": {a for a, b in pairwise(predicted) if a == b},
    }
    for fault, pictures in faults.items():
        if pictures:
            raise DeepmarkError(
                f"predictions: {len(pictures)} of {len(known)} pictures {fault} (the first is {min(pictures)}). "
                "Predictions and records are of different data: run `deepmark predict` again."
            )
