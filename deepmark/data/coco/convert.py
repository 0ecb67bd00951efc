"""Converts records and detections to COCO's structures.

The only place besides ingest where categories are counted from 1 and landmarks are in the flat list of the vocabulary.
The layout is that of the converter of the DeepFashion2 challenge, for any vocabulary: every annotation has the
keypoints of all categories, so that the official code computes with each category's own sigmas.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from deepmark.schema import COCO_MARK, Kind
from deepmark.shapes import Float
from deepmark.types import Garment, ImageRecord, Prediction
from deepmark.version import __version__
from deepmark.vocabulary import Vocabulary

Dataset = dict[str, Any]
"""The content of a COCO file: info, and lists of licenses, images, categories and annotations."""

INFO: dict[str, Any] = {
    "description": "Clothes with their boxes and landmarks, in the layout of DeepFashion2's official converter",
    "contributor": f"{COCO_MARK} {__version__}",
    "version": "1",
}
"""Without a date, so that the same records give the same file."""


class FlatLandmarks:
    """The landmarks of one garment, which become the flat list of the vocabulary only when NumPy asks for it.

    In DeepFashion2 that has 294 * 3 numbers. The zeros of the other twelve categories are part of the metric, but would
    take nine tenths of its memory if they were stored: 28 GB for the 32,153 validation images.
    `np.asarray(landmarks).tolist()` is the list in a COCO file.
    """

    __slots__ = ("category", "points", "vocabulary")

    def __init__(
        self, vocabulary: Vocabulary, category: int, points: Float[np.ndarray, "k 3"] | Float[np.ndarray, "k 2"]
    ) -> None:
        self.vocabulary, self.category, self.points = vocabulary, category, points

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Float[np.ndarray, " n"]:
        category = self.vocabulary.categories[self.category]
        flat = np.zeros((self.vocabulary.landmarks, 3), dtype or np.float64)
        flat[category.span, 2] = 1
        flat[category.span, : self.points.shape[1]] = self.points[: category.landmarks]
        return flat.ravel()


def coco_categories(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """The categories: all have the keypoints of the flat list, and each joins its own by lines, counted from 1."""
    keypoints = [f"{category.coco_name}: {part}" for category in vocabulary.categories for part in category.parts]
    return [
        {
            "id": category.index + 1,
            "name": category.coco_name,
            "supercategory": "clothes",
            "keypoints": keypoints,
            "skeleton": [[category.start + a + 1, category.start + b + 1] for a, b in category.strokes],
        }
        for category in vocabulary.categories
    ]


def _annotation(
    garment: Garment, number: int, record: ImageRecord, visible_only: bool, vocabulary: Vocabulary
) -> dict[str, Any]:
    x0, y0, x1, y1 = garment.box.tolist()
    labelled = garment.landmarks[:, 2:] > (1 if visible_only else 0)
    return {
        "id": number,
        "image_id": record.id,
        "category_id": garment.category + 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": 0,
        "num_keypoints": int(labelled.sum()),
        "keypoints": FlatLandmarks(vocabulary, garment.category, np.where(labelled, garment.landmarks, 0.0)),
        "pair_id": record.pair_id,
        "style": garment.style,
        "scale": garment.scale,
        "occlusion": garment.occlusion,
        "zoom_in": garment.zoom_in,
        "viewpoint": garment.viewpoint,
    }


def coco_truth(records: Iterable[ImageRecord], vocabulary: Vocabulary, *, visible_only: bool = False) -> Dataset:
    """The records as the official converter writes them, plus the subset fields that it drops.

    With `visible_only`, occluded landmarks count as not labelled: v = 1 becomes 0. The ids of annotations do not depend
    on it.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for record in records:
        name = record.file.rpartition("/")[2]
        size = {"width": record.width, "height": record.height}
        images.append({"id": record.id, "file_name": name, **size, "source": record.source})
        for garment in record.garments:
            annotations.append(_annotation(garment, len(annotations) + 1, record, visible_only, vocabulary))
    lists = {"images": images, "categories": coco_categories(vocabulary), "annotations": annotations}
    return {"info": INFO, "licenses": [], **lists}


def coco_results(predictions: Iterable[Prediction], *, kind: Kind = Kind.BBOX) -> list[dict[str, Any]]:
    """The detections as COCO results: one list for boxes and landmarks, with unrounded scores.

    A result has one score. `kind` says whether that of the garment, or that of its landmarks where they have their own.
    A result has a box beside its landmarks. Without it, COCO would compute its area from all landmarks of the flat
    list, zeros included.
    """
    results: list[dict[str, Any]] = []
    for image_id, _, detections in predictions:
        corners = detections.boxes.astype(np.float64)
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()
        scores, categories = detections.scores_of(kind).tolist(), detections.categories.tolist()
        for box, score, category, points in zip(boxes, scores, categories, detections.landmarks, strict=True):
            results.append(
                {
                    "id": len(results) + 1,
                    "image_id": image_id,
                    "category_id": category + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "keypoints": FlatLandmarks(detections.vocabulary, category, points),
                    "score": score,
                }
            )
    return results
