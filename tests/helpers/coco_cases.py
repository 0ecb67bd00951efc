"""Small COCO files in the official converter's layout, random and by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.vocabulary import DEEPFASHION2


def flat(category: int, points: np.ndarray) -> list[float]:
    """x, y, v of a category's own landmarks at their place among all 294."""
    vector = np.zeros((DEEPFASHION2.landmarks, 3))
    vector[DEEPFASHION2.categories[category - 1].span] = points
    return vector.ravel().tolist()


def item(number: int = 1, category: int = 5, image: int = 1, **fields: Any) -> dict[str, Any]:
    """An annotation as the converter writes it, all landmarks visible."""
    count = DEEPFASHION2.categories[category - 1].landmarks
    points = np.column_stack([np.linspace(15, 85, count), np.linspace(25, 95, count), np.full(count, 2)])
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [10, 20, 80, 80],
        "area": 6400,
        "iscrowd": 0,
        "num_keypoints": count,
        "keypoints": flat(category, points),
    } | fields


def dataset(*annotations: dict[str, Any], images: int = 2) -> dict[str, Any]:
    return {
        "images": [{"id": number, "file_name": f"{number:06d}.jpg"} for number in range(1, images + 1)],
        "categories": [{"id": category.index + 1, "name": category.coco_name} for category in DEEPFASHION2.categories],
        "annotations": list(annotations),
    }


def result(of: dict[str, Any], score: float = 0.9, **fields: Any) -> dict[str, Any]:
    """A result that finds an annotation exactly."""
    return {name: of[name] for name in ("image_id", "category_id", "bbox", "keypoints")} | {"score": score} | fields


def without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def write(path: Path, values: Any) -> Path:
    path.write_text(values if isinstance(values, str) else json.dumps(values), "utf-8")
    return path


def random_files(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A data set and results: ties, empty pictures, crowds of results, unlabelled, occluded and ignored items.

    In every third case the results have no boxes, so that COCO makes them of all 294 landmarks.
    """
    rng = np.random.default_rng(seed)
    categories = rng.choice(np.arange(1, 14), 2, replace=False)
    images = rng.permutation(50)[: rng.integers(1, 5)] + 1
    digits, most = int(rng.integers(0, 3)), int(rng.choice([3, 30, 300], p=[0.62, 0.35, 0.03]))

    def box() -> np.ndarray:
        return np.concatenate([rng.uniform(0, 60, 2), rng.choice([20.0, 70, 150]) * rng.uniform(0.5, 1.2, 2)]).round(
            digits
        )

    annotations: list[dict[str, Any]] = []
    for image in images:
        for _ in range(rng.integers(0, 4)):
            category, place = int(rng.choice(categories)), box()
            count = DEEPFASHION2.categories[category - 1].landmarks
            v = rng.integers(0, rng.choice([1, 2, 3, 3]), count)
            points = (place[:2] + rng.random((count, 2)) * place[2:]).round(digits) * (v > 0)[:, None]
            annotations.append(
                item(
                    len(annotations) + 1,
                    category,
                    int(image),
                    bbox=place.tolist(),
                    area=float(place[2] * place[3]),
                    iscrowd=int(rng.random() < 0.15),
                    num_keypoints=int((v > 0).sum()),
                    keypoints=flat(category, np.column_stack([points, v])),
                )
            )
    results = []
    for image in images:
        here = [each for each in annotations if each["image_id"] == image]
        for _ in range(rng.integers(0, most)):
            near = here[rng.integers(len(here))] if here and rng.random() < 0.7 else None
            category = near["category_id"] if near and rng.random() < 0.8 else int(rng.choice(categories))
            place = (np.array(near["bbox"]) + rng.normal(0, 4, 4).clip(-9, 9)).round(digits) if near else box()
            points = place[:2] + rng.random((DEEPFASHION2.categories[category - 1].landmarks, 2)) * place[2:]
            if near and near["category_id"] == category and near["num_keypoints"]:
                own = np.array(near["keypoints"]).reshape(-1, 3)[DEEPFASHION2.categories[category - 1].span, :2]
                points = own + rng.normal(0, rng.choice([0, 2, 6]), own.shape)
            score = float(rng.integers(1, 9)) / 8 if seed // 4 % 2 else float(rng.random())
            entry = {"image_id": int(image), "category_id": category, "score": score, "bbox": place.tolist()}
            shape = np.column_stack([points.round(digits), np.ones(len(points))])
            results.append((without(entry, "bbox") if seed % 3 == 0 else entry) | {"keypoints": flat(category, shape)})
    order = rng.permutation(len(annotations))
    truth = dataset(*(annotations[i] for i in order))
    truth["images"] = [{"id": int(image)} for image in images]
    truth["categories"] = [{"id": int(category), "name": f"category {category}"} for category in categories]
    return truth, results
