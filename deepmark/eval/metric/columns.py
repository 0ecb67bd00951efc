"""Labels and detections as columns: one row for each garment or detection, images in rising order of their ids.

Records and predictions are read batch by batch and not kept. Of the landmarks that were detected only those of the few
detections that another table asks for stay: how much the others overlap is computed while their batch is at hand. A
detection takes 40 bytes then, and 500 as it is predicted.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from sys import intern
from typing import NamedTuple, TypeVar

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.names import KINDS
from deepmark.eval.metric.overlaps import OVERLAPS, box_overlap, landmark_overlap, pairs_of
from deepmark.schema import FOUND_SCORE, SOURCES, SUBSETS, Kind
from deepmark.shapes import Bool, Float32, Float64, Int8, Int32, Int64
from deepmark.types import Detections, GarmentColumns, ImageRecord, Prediction, Rows, garment_columns
from deepmark.vocabulary import DEEPFASHION2, Vocabulary, check_same

_BATCH = 1024
"""Images that are read at a time: 40 MB of detections, where each image has 100."""

_REMEDY = (
    "Give predictions of a model that was trained for the vocabulary of the records; with records that do not come "
    "straight from `read_records`, give `vocabulary` too."
)

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth(GarmentColumns):
    """The labelled garments of a set of images."""

    images: Int64[np.ndarray, " p"]
    """Ids of the images, rising, including images without garments."""

    image: Int64[np.ndarray, " n"]
    """The image that holds the garment, a row of `images`; never falling."""

    item: np.ndarray
    """The key of the garment in its annotation, "item1"."""

    source: Int8[np.ndarray, " n"]
    """Of the garment's image: its place in `schema.SOURCES`."""

    subsets: Int8[np.ndarray, "n 4"]
    """The garment's values of the fields of `schema.SUBSETS`, 1..3 each."""

    def labelled(self, kind: str = "landmark") -> Bool[np.ndarray, " n"]:
        """Which garments have landmarks that this one of `names.KINDS` looks at."""
        return np.any(self.landmarks[:, :, 2] > (1 if kind == "landmark_visible" else 0), axis=1)

    def landmarks_of(
        self, items: Int64[np.ndarray, " k"], kind: str = "landmark"
    ) -> Float64[np.ndarray, "k most_landmarks 3"]:
        """The landmarks of some garments; by "landmark_visible", occluded ones are as not labelled."""
        landmarks = self.landmarks[items]
        return np.where(landmarks[:, :, 2:] > 1, landmarks, 0.0) if kind == "landmark_visible" else landmarks


class Near(NamedTuple):
    """Pairs of a detection and a garment of its image and category that overlap by the least of `OVERLAPS` or more."""

    detection: Int32[np.ndarray, " q"]
    item: Int32[np.ndarray, " q"]
    overlap: Float64[np.ndarray, " q"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionColumns:
    """The detections in the same images, by the same vocabulary; within an image, best first."""

    image: Int32[np.ndarray, " m"]
    """The image, a row of `Truth.images`; never falling."""

    category: Int32[np.ndarray, " m"]
    boxes: Float32[np.ndarray, "m 4"]
    scores: Float32[np.ndarray, " m"]
    """Of the garment, by which boxes are ranked."""

    pose_scores: Float32[np.ndarray, " m"]
    """Of its landmarks as one result, by which these are ranked; the same without `predict.rescore`."""

    near: Mapping[str, Near]
    """By each of `names.KINDS`."""

    kept: Int32[np.ndarray, " k"]
    """The detections, rising, whose landmarks are kept: those that can be assigned to a garment of their category."""

    landmarks: Float32[np.ndarray, "k most_landmarks 2"]

    def __len__(self) -> int:
        return len(self.image)

    def landmarks_of(self, rows: Int64[np.ndarray, " r"]) -> Float32[np.ndarray, "r most_landmarks 2"]:
        """The landmarks of some of the detections in `kept`."""
        return self.landmarks[np.searchsorted(self.kept, rows)]


def _batches(values: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(values)
    return iter(lambda: list(islice(rest, _BATCH)), [])


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The columns of all parts, which are emptied, because each column may be large."""
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}


def vocabulary_of(rows: Iterable[object]) -> Vocabulary:
    """That of the file, where they are what `read_records` or `read_predictions` reads; else DeepFashion2's."""
    return rows.vocabulary if isinstance(rows, Rows) else DEEPFASHION2


def truth_columns(records: Iterable[ImageRecord], vocabulary: Vocabulary | None = None) -> Truth:
    """The labelled garments of these images.

    They are of the vocabulary that is given, or else of that of the file that `read_records` reads; without both, of
    DeepFashion2's.
    """
    vocabulary = vocabulary or vocabulary_of(records)
    parts = (_truth_part(batch, vocabulary) for batch in _batches(records))
    columns = _joined([_truth_part([], vocabulary), *parts])
    counts, images = columns.pop("count"), columns.pop("images")
    order = np.argsort(images, kind="stable")
    image = np.repeat(np.argsort(order), counts)
    if (np.diff(image) < 0).any():
        by_image = np.argsort(image, kind="stable")
        columns, image = {name: column[by_image] for name, column in columns.items()}, image[by_image]
    return Truth(vocabulary=vocabulary, images=images[order], image=image, **columns)


def _truth_part(records: list[ImageRecord], vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    garments = [garment for record in records for garment in record.garments]
    counts = np.array([len(record.garments) for record in records], np.int64)
    sources = np.array([list(SOURCES).index(record.source) for record in records], np.int8)
    values = [[getattr(garment, field) for field in SUBSETS] for garment in garments]
    return {
        "images": np.array([record.id for record in records], np.int64),
        "count": counts,
        "item": np.array([intern(garment.item) for garment in garments], object),
        "source": np.repeat(sources, counts),
        "subsets": np.array(values, np.int8).reshape(-1, len(SUBSETS)),
        **garment_columns(garments, vocabulary),
    }


def detection_columns(predictions: Iterable[Prediction], truth: Truth) -> DetectionColumns:
    """The detections in the images of `truth`; every image needs a prediction, even one without detections.

    Raises DeepmarkError if predictions and truth are not of the same images, or of one vocabulary.
    """
    cells = _Cells(truth)
    parts = [_detection_part([], truth, cells)]
    for batch in _batches(predictions):
        parts.append(_detection_part(batch, truth, cells))
    _check_images(truth.images, np.concatenate([part.pop("images") for part in parts]))
    starts = np.cumsum([0, *(len(part["image"]) for part in parts[:-1])])
    for start, part in zip(starts, parts, strict=True):
        for name in ("kept", *(f"{kind} detection" for kind in KINDS)):
            part[name] = (part[name] + start).astype(np.int32)
    columns = _joined(parts)
    order = np.argsort(columns["image"], kind="stable").astype(np.int32)
    row = np.empty_like(order)
    row[order] = np.arange(len(order), dtype=np.int32)
    near = {
        kind: Near(row[columns.pop(f"{kind} detection")], columns.pop(f"{kind} item"), columns.pop(f"{kind} overlap"))
        for kind in KINDS
    }
    kept = row[columns.pop("kept")]
    by_row = np.argsort(kept)
    landmarks = columns.pop("landmarks")[by_row]
    for name in list(columns):
        columns[name] = columns[name][order]
    if (columns["scores"] == columns["pose_scores"]).all():
        columns["pose_scores"] = columns["scores"]
    return DetectionColumns(near=near, kept=kept[by_row], landmarks=landmarks, **columns)


class _Cells:
    """The garments of a truth by image and category."""

    def __init__(self, truth: Truth) -> None:
        self._categories = len(truth.vocabulary.categories)
        cells = truth.image * self._categories + truth.category
        self._items = np.argsort(cells, kind="stable")
        self._cells = cells[self._items]

    def pairs(
        self, image: Int64[np.ndarray, " m"], category: Int64[np.ndarray, " m"]
    ) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"]]:
        """All pairs of a detection and a garment of its image and category."""
        row, place = pairs_of(image * self._categories + category, self._cells)
        return row, self._items[place]


def _none(vocabulary: Vocabulary) -> Detections:
    most = vocabulary.most_landmarks
    return Detections(
        boxes=np.empty((0, 4), np.float32),
        scores=np.empty(0, np.float32),
        categories=np.empty(0, np.int64),
        landmarks=np.empty((0, most, 2), np.float32),
        landmark_scores=np.empty((0, most), np.float32),
        vocabulary=vocabulary,
    )


def _detection_part(predictions: list[Prediction], truth: Truth, cells: _Cells) -> dict[str, np.ndarray]:
    images = np.array([prediction.image_id for prediction in predictions], np.int64)
    places = np.searchsorted(truth.images, images)
    known = np.isin(images, truth.images)
    found = [one.detections for one, is_known in zip(predictions, known, strict=True) if is_known]
    for one in found:
        if one.vocabulary is not truth.vocabulary:
            check_same(truth.vocabulary, "the set of records", one.vocabulary, "the set of predictions", _REMEDY)
    parts = found or [_none(truth.vocabulary)]
    image = np.repeat(places[known], [len(detections) for detections in found])
    category = np.concatenate([detections.categories for detections in parts])
    boxes = np.concatenate([detections.boxes for detections in parts])
    scores = np.concatenate([detections.scores for detections in parts])
    landmarks = np.concatenate([detections.landmarks for detections in parts])
    row, item = cells.pairs(image, category)
    overlaps = {"box": box_overlap(boxes[row].astype(np.float64), truth.boxes[item])}
    for kind in KINDS[1:]:
        labels = truth.landmarks_of(item, kind)
        pairs = truth.category[item], truth.boxes[item], labels, landmarks[row]
        overlaps[kind] = landmark_overlap(truth.vocabulary, *pairs)
    assignable = overlaps["box"] >= OVERLAPS[0]
    kept = np.unique(row[assignable & (scores[row].astype(np.float64) >= FOUND_SCORE)])
    columns = {
        "images": images,
        "image": image.astype(np.int32),
        "category": category.astype(np.int32),
        "boxes": boxes,
        "scores": scores,
        "pose_scores": np.concatenate([one.scores_of(Kind.KEYPOINTS) for one in parts]),
        "kept": kept,
        "landmarks": landmarks[kept],
    }
    for kind, overlap in overlaps.items():
        near = np.flatnonzero(overlap >= OVERLAPS[0])
        columns[f"{kind} detection"] = row[near]
        columns[f"{kind} item"] = item[near].astype(np.int32)
        columns[f"{kind} overlap"] = overlap[near]
    return columns


def _check_images(known: Int64[np.ndarray, " p"], predicted: Int64[np.ndarray, " q"]) -> None:
    ids, counts = np.unique(predicted, return_counts=True)
    faults = {
        "without predictions": np.setdiff1d(known, ids),
        "predicted but not in the records": np.setdiff1d(ids, known),
        "predicted twice": ids[counts > 1],
    }
    for fault, images in faults.items():
        if images.size:
            raise DeepmarkError(
                f"predictions: {len(images)} of {len(known)} images {fault} (the first is {min(images)}). "
                "Predictions and records are of different data: run `deepmark predict` again."
            )
