"""Vocabularies of other garments than DeepFashion2's, with three and with forty categories; values of any of them."""

import hashlib
import io
import math
from typing import Any

import numpy as np
import PIL.Image

from deepmark.types import Detections, Garment, ImageRecord
from deepmark.vocabulary import Vocabulary
from deepmark.vocabulary.plain_form import checked_vocabulary

CONTENT: dict[str, Any] = {
    "name": "accessories",
    "categories": [
        {
            "name": "bag",
            "landmarks": [
                {"name": "left handle", "sigma": 0.04, "mirror": "right handle", "at": [0.25, 0.3]},
                {"name": "right handle", "sigma": 0.04, "mirror": "left handle", "at": [0.75, 0.3]},
                {"name": "right bottom", "sigma": 0.05, "mirror": "left bottom", "at": [1.0, 1.0]},
                {"name": "left bottom", "sigma": 0.05, "mirror": "right bottom", "at": [0.0, 1.0]},
            ],
            "aspect": 1.2,
            "outline": ["left handle", "right handle", "right bottom", "left bottom"],
            "straps": [["left handle", [0.35, 0.0], [0.65, 0.0], "right handle"]],
        },
        {
            "name": "shoe",
            "landmarks": [
                {"name": "heel top", "sigma": 0.03, "at": [0.0, 0.1]},
                {"name": "tongue", "sigma": 0.04, "at": [0.35, 0.0]},
                {"name": "toe top", "sigma": 0.05, "at": [0.9, 0.6]},
                {"name": "toe tip", "sigma": 0.03, "at": [1.0, 0.85]},
                {"name": "sole", "sigma": 0.06, "at": [0.5, 1.0]},
                {"name": "heel bottom", "sigma": 0.03, "at": [0.0, 1.0]},
            ],
            "aspect": 2.2,
            "outline": ["heel top", "tongue", "toe top", "toe tip", [0.95, 1.0], "sole", "heel bottom"],
            "lines": [["tongue", [0.45, 0.5], "toe top"]],
        },
        {
            "name": "hat",
            "landmarks": [],
            "aspect": 1.8,
            "outline": [[0.0, 0.8], [0.25, 0.7], [0.3, 0.1], [0.5, 0.0], [0.7, 0.1], [0.75, 0.7], [1.0, 0.8], [0.5, 1]],
        },
    ],
}
"""What a vocabulary.yaml of three categories holds: a bag with 4 landmarks, a shoe with 6 and a hat with none."""


def _ring(index: int) -> dict[str, Any]:
    """A category whose landmarks lie on an ellipse, their mirror partners across its vertical axis."""
    count = (60, 0, 1, 2, 3)[index] if index < 5 else index * 7 % 61
    ring = [
        (round(0.5 - 0.5 * math.cos(turn), 4), round(0.5 - 0.5 * math.sin(turn), 4))
        for turn in (2 * math.pi * (i + 0.5) / max(count, 1) + math.pi / 2 for i in range(count))
    ]
    return {
        "name": f"garment {index + 1}",
        "landmarks": [
            {
                "name": f"edge {i + 1}",
                "sigma": 0.02 + 0.001 * (i % 30),
                **({} if count - 1 - i == i else {"mirror": f"edge {count - i}"}),
                "at": list(point),
            }
            for i, point in enumerate(ring)
        ],
        "aspect": round(0.5 + index / 30, 3),
        "outline": [f"edge {i + 1}" for i in range(count)] if count > 2 else [[0, 0], [1, 0], [1, 1], [0, 1]],
    }


MANY_CONTENT: dict[str, Any] = {"name": "forty garments", "categories": [_ring(index) for index in range(40)]}

SMALL: Vocabulary = checked_vocabulary(CONTENT, lambda place: "the vocabulary of the tests")
"""bag (4 landmarks), shoe (6), hat (none: boxes only)."""

MANY: Vocabulary = checked_vocabulary(MANY_CONTENT, lambda place: "the vocabulary of forty")
"""Forty categories with 0 to 60 landmarks."""


WIDTH, HEIGHT = 60, 80
"""Pixels of every image of a `random_record`."""


def random_detections(vocabulary: Vocabulary, rng: np.random.Generator, count: int) -> Detections:
    """Detections of any of its categories, with every bit of their numbers in use."""
    categories = rng.integers(len(vocabulary.categories), size=count)
    own = vocabulary.own_landmarks[categories]
    return Detections(
        boxes=rng.random((count, 4), np.float32) * 99,
        scores=np.sort(rng.random(count, np.float32))[::-1].copy(),
        categories=categories,
        landmarks=rng.normal(30, 90, (*own.shape, 2)).astype(np.float32) * own[..., None],
        landmark_scores=rng.random(own.shape, np.float32) * own,
        vocabulary=vocabulary,
    )


def image_of(number: int) -> bytes:
    """The JPEG of a `random_record`."""
    pixels = np.random.default_rng(number).integers(0, 256, (HEIGHT // 10, WIDTH // 10, 3), np.uint8)
    out = io.BytesIO()
    PIL.Image.fromarray(pixels.repeat(10, axis=0).repeat(10, axis=1)).save(out, "JPEG")
    return out.getvalue()


def random_record(vocabulary: Vocabulary, number: int) -> ImageRecord:
    """A record of 0 to 3 garments, each category in its turn, with landmarks of all three visibilities."""
    rng, jpeg, garments = np.random.default_rng(number), image_of(number), []
    for i in range(number % 4):
        category = vocabulary.categories[(number + i) % len(vocabulary.categories)]
        x0, y0 = rng.random(2) * 20
        box = np.array([x0, y0, x0 + 10 + rng.random() * 25, y0 + 10 + rng.random() * 45]).round(2)
        landmarks = np.zeros((category.landmarks, 3))
        landmarks[:, 2] = rng.integers(0, 3, category.landmarks)
        landmarks[:, :2] = (box[:2] + rng.random((category.landmarks, 2)) * (box[2:] - box[:2])) * (
            landmarks[:, 2:] > 0
        )
        garments.append(
            Garment(
                item=f"item{i + 1}",
                category=category.index,
                style=0,
                box=box,
                landmarks=landmarks,
                polygons=(box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2),),
                scale=1 + i % 3,
                occlusion=1,
                zoom_in=2,
                viewpoint=3,
            )
        )
    return ImageRecord(
        id=number,
        file=f"image/{number:06d}.jpg",
        sha256=hashlib.sha256(jpeg).hexdigest(),
        bytes=len(jpeg),
        width=WIDTH,
        height=HEIGHT,
        source="user",
        pair_id=number,
        garments=tuple(garments),
    )
