"""Small records and detections for the tests of the metric."""

from typing import Any

import numpy as np

from deepmark.types import Detections, Garment, ImageRecord, Prediction
from deepmark.vocabulary import DEEPFASHION2

Box = tuple[float, float, float, float]


def garment(name: str = "vest", box: Box = (10, 10, 90, 110), *, v: Any = 2, **fields: int) -> Garment:
    """A garment whose landmarks lie where the category's drawing has them, in its box."""
    category = DEEPFASHION2.by_name[name]
    corners = np.array(box, dtype=np.float64)
    points = corners[:2] + np.array(category.shape.points) * (corners[2:] - corners[:2])
    state = np.broadcast_to(np.asarray(v, dtype=np.float64), category.landmarks)[:, None]
    subsets = {"scale": 2, "occlusion": 1, "zoom_in": 1, "viewpoint": 2} | fields
    return Garment(
        item="item1",
        category=category.index,
        style=0,
        box=corners,
        landmarks=np.where(state > 0, np.concatenate([points, state], axis=1), 0.0),
        polygons=(),
        **subsets,
    )


def record(number: int, *garments: Garment, source: str = "shop") -> ImageRecord:
    return ImageRecord(
        id=number,
        file=f"image/{number:06d}.jpg",
        sha256="0" * 64,
        bytes=1,
        width=400,
        height=400,
        source=source,
        pair_id=1,
        garments=garments,
    )


def detections(*found: tuple[str, Box, float]) -> Detections:
    """Detections (name, box, score), best first, with landmarks as `garment` puts them."""
    ordered = sorted(found, key=lambda one: -one[2])
    items = [garment(name, box) for name, box, _ in ordered]
    landmarks = np.zeros((len(items), DEEPFASHION2.most_landmarks, 2), np.float32)
    for row, item in zip(landmarks, items, strict=True):
        row[: len(item.landmarks)] = item.landmarks[:, :2]
    return Detections(
        boxes=np.array([item.box for item in items], np.float32).reshape(-1, 4),
        scores=np.array([score for *_, score in ordered], np.float32),
        categories=np.array([item.category for item in items], np.int64),
        landmarks=landmarks,
        landmark_scores=np.zeros(landmarks.shape[:2], np.float32),
    )


def prediction(number: int, found: Detections) -> Prediction:
    """The detections of the image of `record(number)`."""
    return Prediction(number, f"image/{number:06d}.jpg", found)


def truth_as_detections(image: ImageRecord) -> Detections:
    return detections(
        *((DEEPFASHION2.categories[item.category].name, tuple(item.box.tolist()), 0.9) for item in image.garments)
    )


def random_case(seed: int) -> tuple[list[ImageRecord], list[Prediction]]:
    """Pictures with and without garments, unlabelled and occluded landmarks, ties of scores, crowds of detections."""
    rng = np.random.default_rng(seed)
    names = [
        category.name for category in rng.choice(np.array(DEEPFASHION2.categories, dtype=object), 4, replace=False)
    ]

    def box() -> Box:
        corner, size = rng.uniform(0, 200, 2), rng.uniform(5, 200, 2)
        return tuple(np.concatenate([corner, corner + size]).round(rng.integers(0, 3)).tolist())

    records, predictions = [], []
    for number in rng.permutation(100)[: rng.integers(1, 8)].tolist():
        garments = []
        for _ in range(rng.integers(0, 5)):
            states = rng.integers(0, 3, 39) * rng.integers(0, 2)
            name = str(rng.choice(names))
            fields = dict(
                zip(("scale", "occlusion", "zoom_in", "viewpoint"), rng.integers(1, 4, 4).tolist(), strict=True)
            )
            garments.append(garment(name, box(), v=states[: DEEPFASHION2.by_name[name].landmarks], **fields))
        records.append(record(number, *garments, source=str(rng.choice(["shop", "user"]))))
        found = []
        for _ in range(rng.choice([0, 3, 30, 130])):
            near = rng.random() < 0.7 and garments
            around = garments[rng.integers(len(garments))] if near else None
            place = tuple((around.box + rng.normal(0, 5, 4) * [1, 1, 2, 2]).tolist()) if around else box()
            name = (
                DEEPFASHION2.categories[around.category].name
                if around and rng.random() < 0.8
                else str(rng.choice(names))
            )
            found.append((name, place, float(rng.integers(1, 12)) / 11 if seed % 2 else float(rng.random())))
        predictions.append(prediction(number, detections(*found)))
    return records, predictions
