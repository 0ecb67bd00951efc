"""Random records and predictions of any vocabulary, for the tests of the metric, the audit and the report."""

from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np

from deepmark.schema import SOURCES
from deepmark.types import Detections, Garment, ImageRecord, Prediction
from deepmark.vocabulary import Category, Vocabulary

SIZE = 400


def garment(
    category: Category, box: np.ndarray, states: np.ndarray, rng: np.random.Generator, item: int = 1
) -> Garment:
    """A garment whose landmarks lie somewhere in its box; `states` are their v, at least as many as there are."""
    v = states[: category.landmarks].astype(float)[:, None]
    points = box[:2] + rng.random((category.landmarks, 2)) * (box[2:] - box[:2])
    scale, occlusion, zoom_in, viewpoint = rng.integers(1, 4, 4).tolist()
    return Garment(
        item=f"item{item}",
        category=category.index,
        style=0,
        box=box,
        landmarks=np.where(v > 0, np.concatenate([points, v], axis=1), 0.0),
        polygons=(),
        scale=scale,
        occlusion=occlusion,
        zoom_in=zoom_in,
        viewpoint=viewpoint,
    )


def as_drawn(category: Category, box: np.ndarray, rng: np.random.Generator, item: int = 1) -> Garment:
    """A garment whose visible landmarks lie about where the category's drawing has them in its box."""
    plain = garment(category, box, np.full(category.landmarks, 2), rng, item)
    points = np.array(category.shape.points)[: category.landmarks].reshape(-1, 2)
    landmarks = plain.landmarks.copy()
    landmarks[:, :2] = box[:2] + points * (box[2:] - box[:2]) + rng.normal(0, 1, points.shape)
    return replace(plain, landmarks=landmarks)


def painted(items: Iterable[Garment], vocabulary: Vocabulary, rng: np.random.Generator) -> np.ndarray:
    """An RGB image of these garments, each as its category's drawing in its box."""
    image = np.full((SIZE, SIZE, 3), 225, np.uint8) + rng.integers(0, 20, (SIZE, SIZE, 1), np.uint8)
    for item in items:
        shape = vocabulary.categories[item.category].shape
        points = item.box[:2] + np.array(shape.points) * (item.box[2:] - item.box[:2])
        color = rng.integers(30, 180, 3).tolist()
        cv2.fillPoly(image, [points[list(shape.outline)].round().astype(np.int32)], color)
        for line in (*shape.straps, *shape.inner_lines):
            cv2.polylines(image, [points[list(line)].round().astype(np.int32)], False, [40, 40, 40], 3)
    return image


def record(number: int, garments: list[Garment], source: str = "shop") -> ImageRecord:
    return ImageRecord(
        id=number,
        file=f"image/{number:06d}.jpg",
        sha256=f"{number:064x}",
        bytes=1,
        width=SIZE,
        height=SIZE,
        source=source,
        pair_id=1,
        garments=tuple(garments),
    )


def near(items: list[Garment], vocabulary: Vocabulary, rng: np.random.Generator, spread: float) -> Detections:
    """A detection of each of these garments, a little off, best first; some of another category."""
    count, most = len(items), vocabulary.most_landmarks
    landmarks = np.zeros((count, most, 2), np.float32)
    categories = np.array([item.category for item in items], np.int64)
    wrong = rng.random(count) < 0.1
    categories[wrong] = rng.integers(0, len(vocabulary.categories), wrong.sum())
    for row, item, index in zip(landmarks, items, categories, strict=True):
        own = vocabulary.categories[index].landmarks
        points = item.landmarks[:own, :2] if len(item.landmarks) >= own else rng.uniform(*item.box[[0, 2]], (own, 2))
        row[:own] = points + rng.normal(0, spread, (own, 2))
    boxes = np.array([item.box for item in items]).reshape(-1, 4) + rng.normal(0, spread, (count, 4))
    return Detections(
        boxes=boxes.astype(np.float32),
        scores=np.sort(rng.integers(1, 40, count) / 40).astype(np.float32)[::-1].copy(),
        categories=categories,
        landmarks=landmarks,
        landmark_scores=(landmarks[..., 0] != 0).astype(np.float32),
        vocabulary=vocabulary,
    )


def random_case(
    vocabulary: Vocabulary, seed: int, *, images: int = 30, unlabelled: bool = True
) -> tuple[list[ImageRecord], list[Prediction]]:
    """Images with garments, occluded landmarks and, unless told otherwise, garments without a labelled landmark."""
    rng = np.random.default_rng(seed)
    records, predictions = [], []
    for number in rng.permutation(4 * images)[:images].tolist():
        items = []
        for place in range(rng.integers(0, 7)):
            corner, size = rng.uniform(0, 200, 2), rng.uniform(20, 190, 2)
            states = rng.integers(0 if unlabelled else 1, 3, vocabulary.most_landmarks)
            if unlabelled and rng.random() < 0.2:
                states[:] = 0
            category = vocabulary.categories[rng.integers(len(vocabulary.categories))]
            items.append(garment(category, np.concatenate([corner, corner + size]), states, rng, place + 1))
        records.append(record(number, items, str(rng.choice(SOURCES))))
        guessed = [items[i] for i in rng.integers(0, len(items), 2 * len(items))] if items else []
        found = near([*items, *guessed], vocabulary, rng, float(rng.choice([1.0, 6.0])))
        predictions.append(Prediction(number, records[-1].file, found))
    return records, predictions
