"""Images of garments of any vocabulary: flat figures on grey, small enough to be learnt by heart in seconds."""

import colorsys

import cv2
import numpy as np

from deepmark.types import Garment, ImageRecord, Sample
from deepmark.vocabulary import Category, Vocabulary


def painted_samples(vocabulary: Vocabulary, count: int, *, side: int = 96, seed: int = 0) -> list[Sample]:
    """Square images with two garments each, of as many categories as there are, without overlap."""
    rng = np.random.default_rng(seed)
    return [
        _sample(vocabulary, [(2 * i + half) % len(vocabulary.categories) for half in (0, 1)], side, rng)
        for i in range(count)
    ]


def _sample(vocabulary: Vocabulary, categories: list[int], side: int, rng: np.random.Generator) -> Sample:
    image = np.full((side, side, 3), 120, np.uint8)
    boxes, landmarks = [], np.zeros((len(categories), vocabulary.most_landmarks, 3), np.float32)
    for row, number in enumerate(categories):
        category = vocabulary.categories[number]
        width, height = rng.uniform(0.32, 0.42) * side, rng.uniform(0.5, 0.8) * side
        x, y = side * (0.5 * row + 0.04) + rng.uniform(0, 3), rng.uniform(0.05, 0.95) * (side - height)
        points = np.array([x, y]) + np.array(category.shape.points) * [width, height]
        _paint(image, category, points, len(vocabulary.categories))
        boxes.append([x, y, x + width, y + height])
        own = points[: category.landmarks].reshape(-1, 2)
        landmarks[row, : len(own)] = np.column_stack([own, np.full(len(own), 2)])
    return Sample(
        image=image,
        boxes=np.array(boxes, np.float32),
        categories=np.array(categories),
        landmarks=landmarks,
        affine=np.eye(2, 3),
    )


def _paint(image: np.ndarray, category: Category, points: np.ndarray, categories: int) -> None:
    color = [round(255 * part) for part in colorsys.hsv_to_rgb(category.index / categories, 0.9, 1.0)]
    outline = points[list(category.shape.outline)].round().astype(np.int32)
    cv2.fillPoly(image, [outline], color)
    low, high = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    cv2.rectangle(image, low.tolist(), high.tolist(), color, 1)


def records_of(samples: list[Sample], vocabulary: Vocabulary) -> list[ImageRecord]:
    """The labels of the samples, of visible landmarks alone."""
    return [
        ImageRecord(
            id=number,
            file=f"image/{number:06}.jpg",
            sha256="0" * 64,
            bytes=1,
            width=sample.image.shape[1],
            height=sample.image.shape[0],
            source="shop",
            pair_id=number,
            garments=tuple(_garments(sample, vocabulary)),
        )
        for number, sample in enumerate(samples, 1)
    ]


def _garments(sample: Sample, vocabulary: Vocabulary) -> list[Garment]:
    return [
        Garment(
            item=f"item{row + 1}",
            category=number,
            style=0,
            box=sample.boxes[row].astype(np.float64),
            landmarks=sample.landmarks[row, : vocabulary.categories[number].landmarks].astype(np.float64),
            polygons=(),
            scale=1,
            occlusion=1,
            zoom_in=1,
            viewpoint=1,
        )
        for row, number in enumerate(sample.categories.tolist())
    ]
