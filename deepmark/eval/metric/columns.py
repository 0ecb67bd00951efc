"""Labels and detections as columns: one row for each garment or detection, images in rising order of their ids.

The whole validation set with 20 detections an image takes 0.3 GB in this form, and 28 GB as COCO's dictionaries.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.schema import MOST_LANDMARKS, Kind
from deepmark.shapes import Bool, Float32, Float64, Int64
from deepmark.types import Detections, GarmentColumns, ImageRecord, Prediction, garment_columns


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth(GarmentColumns):
    """The labelled garments of a set of images."""

    images: Int64[np.ndarray, " p"]
    """Ids of the images, rising, including images without garments."""

    image: Int64[np.ndarray, " n"]
    """The image that holds the garment, a row of `images`; never falling."""

    @property
    def labelled(self) -> Bool[np.ndarray, "n 39"]:
        """Which landmarks are labelled."""
        return self.landmarks[:, :, 2] > 0

    def visible_only(self) -> "Truth":
        """The same garments with occluded landmarks as not labelled: v = 1 becomes 0."""
        return replace(self, landmarks=np.where(self.landmarks[:, :, 2:] > 1, self.landmarks, 0.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionColumns:
    """The detections in the same images; within an image, best first."""

    image: Int64[np.ndarray, " m"]
    """The image, a row of `Truth.images`; never falling."""

    category: Int64[np.ndarray, " m"]
    boxes: Float64[np.ndarray, "m 4"]
    scores: Float64[np.ndarray, " m"]
    """Of the garment, by which boxes are ranked."""

    pose_scores: Float64[np.ndarray, " m"]
    """Of its landmarks as one result, by which these are ranked; the same without `predict.rescore`."""

    landmarks: Float32[np.ndarray, "m 39 2"]

    def __len__(self) -> int:
        return len(self.image)


def truth_columns(records: Iterable[ImageRecord]) -> Truth:
    """The labelled garments of these images."""
    ordered = sorted(records, key=lambda record: record.id)
    garments = [garment for record in ordered for garment in record.garments]
    return Truth(
        images=np.array([record.id for record in ordered], np.int64),
        image=np.repeat(np.arange(len(ordered)), [len(record.garments) for record in ordered]),
        **garment_columns(garments),
    )


def detection_columns(predictions: Iterable[Prediction], truth: Truth) -> DetectionColumns:
    """The detections in the images of `truth`; every image needs a prediction, even one without detections.

    Raises DeepmarkError if predictions and truth are not of the same images.
    """
    ordered = sorted(predictions, key=lambda prediction: prediction.image_id)
    _check_images(truth.images.tolist(), [prediction.image_id for prediction in ordered])
    found = [prediction.detections for prediction in ordered]
    none = Detections(
        boxes=np.empty((0, 4), np.float32),
        scores=np.empty(0, np.float32),
        categories=np.empty(0, np.int64),
        landmarks=np.empty((0, MOST_LANDMARKS, 2), np.float32),
        landmark_scores=np.empty((0, MOST_LANDMARKS), np.float32),
    )
    parts = found or [none]
    return DetectionColumns(
        image=np.repeat(np.arange(len(found)), [len(detections) for detections in found]),
        category=np.concatenate([detections.categories for detections in parts]),
        boxes=np.concatenate([detections.boxes for detections in parts]).astype(np.float64),
        scores=np.concatenate([detections.scores for detections in parts]).astype(np.float64),
        pose_scores=np.concatenate([one.scores_of(Kind.KEYPOINTS) for one in parts]).astype(np.float64),
        landmarks=np.concatenate([detections.landmarks for detections in parts]),
    )


def _check_images(known: list[int], predicted: list[int]) -> None:
    faults = {
        "without predictions": set(known) - set(predicted),
        "predicted but not in the records": set(predicted) - set(known),
        "predicted twice": {a for a, b in pairwise(predicted) if a == b},
    }
    for fault, images in faults.items():
        if images:
            raise DeepmarkError(
                f"predictions: {len(images)} of {len(known)} images {fault} (the first is {min(images)}). "
                "Predictions and records are of different data: run `deepmark predict` again."
            )
