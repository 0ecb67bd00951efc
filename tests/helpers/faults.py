"""Wrong labels made from right ones, as people make such mistakes, and a model to compare them with."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from deepmark.geometry import box_iou
from deepmark.types import Detections, Garment, ImageRecord
from deepmark.vocabulary import DEEPFASHION2, Vocabulary


def mirrored(rng: Generator, item: Garment, record: ImageRecord) -> Garment | None:
    """All landmarks under the numbers of their mirror partners."""
    landmarks = item.landmarks[list(DEEPFASHION2.categories[item.category].mirror)]
    labelled = item.landmarks[:, 2] > 0
    return replace(item, landmarks=landmarks) if labelled.sum() >= 8 else None


def swapped(rng: Generator, item: Garment, record: ImageRecord) -> Garment | None:
    """One landmark and its mirror partner under each other's number."""
    mirror = DEEPFASHION2.categories[item.category].mirror
    labelled = item.landmarks[:, 2] > 0
    pairs = [(a, b) for a, b in enumerate(mirror) if a < b and labelled[a] and labelled[b]]
    if not pairs:
        return None
    a, b = pairs[rng.integers(len(pairs))]
    landmarks = item.landmarks.copy()
    landmarks[[a, b]] = landmarks[[b, a]]
    return replace(item, landmarks=landmarks)


def shifted(rng: Generator, item: Garment, record: ImageRecord) -> Garment | None:
    """The box moved by a quarter to a half of its sides, in a picture that has the room."""
    sides = item.box[2:] - item.box[:2]
    for _ in range(20):
        moved = item.box + np.tile(rng.uniform(-0.5, 0.5, 2) * sides, 2)
        inside = np.clip(moved, 0, [record.width, record.height] * 2)
        kept = np.prod(inside[2:] - inside[:2]) / np.prod(sides)
        if kept > 0.6 and box_iou(inside[None], item.box[None])[0, 0] < 0.65:
            return replace(item, box=inside)
    return None


def renamed(rng: Generator, item: Garment, record: ImageRecord) -> Garment | None:
    """Another category, its landmarks where its drawing has them in the box."""
    other = DEEPFASHION2.categories[_other_category(rng, item.category, DEEPFASHION2)]
    places = item.box[:2] + np.array(other.shape.points) * (item.box[2:] - item.box[:2])
    landmarks = np.column_stack([places + rng.normal(0, 3, places.shape), np.full(other.landmarks, 2.0)])
    return replace(item, category=other.index, landmarks=landmarks)


Fault = Callable[[Generator, Garment, ImageRecord], Garment | None]

FAULTS: dict[str, Fault] = {
    "mirrored": mirrored,
    "swapped pair": swapped,
    "shifted box": shifted,
    "wrong category": renamed,
}


def plant(
    records: Sequence[ImageRecord], *, each: int, seed: int
) -> tuple[list[ImageRecord], dict[tuple[int, str], str]]:
    """The records with `each` faults of every kind, one an item at most, and which (image id, item) has which."""
    rng = np.random.default_rng(seed)
    places = [(i, j) for i, record in enumerate(records) for j in range(len(record.garments))]
    order = iter(rng.permutation(len(places)).tolist())
    changed, planted = {}, {}
    for name, fault in FAULTS.items():
        left = each
        while left:
            i, j = places[next(order)]
            garment = fault(rng, records[i].garments[j], records[i])
            if garment is not None:
                changed[i, j] = garment
                planted[records[i].id, garment.item] = name
                left -= 1
    made = [
        replace(record, garments=tuple(changed.get((i, j), item) for j, item in enumerate(record.garments)))
        for i, record in enumerate(records)
    ]
    return made, planted


def decent_model(record: ImageRecord, rng: Generator, *, vocabulary: Vocabulary = DEEPFASHION2) -> Detections:
    """What a model that is good but not perfect finds in a picture.

    It misses 7% of the garments and calls 4% something else; boxes stray by 3% of their sides, landmarks as far as
    people's (their OKS sigma); it sees things that are not there, with low scores most of the time.
    """
    rows = []
    for item in record.garments:
        chance = rng.random()
        if chance < 0.07:
            continue
        box = item.box + rng.normal(0, 0.03, 4) * np.tile(item.box[2:] - item.box[:2], 2)
        if chance < 0.11:
            rows.append((_other_category(rng, item.category, vocabulary), rng.beta(3, 3), box, None))
        else:
            sigmas = np.array(vocabulary.categories[item.category].sigmas)[:, None] * np.sqrt(
                np.prod(box[2:] - box[:2])
            )
            points = item.landmarks[:, :2] + rng.normal(0, 1, (len(sigmas), 2)) * sigmas
            rows.append((item.category, rng.beta(6, 2), box, points))
    for _ in range(3):
        corner = rng.uniform(0, 0.6, 2) * (record.width, record.height)
        side = rng.uniform(40, 0.4 * min(record.width, record.height), 2)
        category = int(rng.integers(len(vocabulary.categories)))
        rows.append((category, rng.beta(1.2, 8), np.concatenate([corner, corner + side]), None))
    rows.sort(key=lambda row: -row[1])
    landmarks = np.zeros((len(rows), vocabulary.most_landmarks, 2), np.float32)
    for places, (category, _, box, points) in zip(landmarks, rows, strict=True):
        own = vocabulary.categories[category]
        drawn = box[:2] + np.array(own.shape.points)[: own.landmarks] * (box[2:] - box[:2])
        places[: len(drawn)] = drawn if points is None else points
    return Detections(
        boxes=np.array([row[2] for row in rows], np.float32),
        scores=np.array([row[1] for row in rows], np.float32),
        categories=np.array([row[0] for row in rows], np.int64),
        landmarks=landmarks,
        landmark_scores=np.zeros(landmarks.shape[:2], np.float32),
        vocabulary=vocabulary,
    )


def _other_category(rng: Generator, category: int, vocabulary: Vocabulary) -> int:
    return int(rng.choice([other.index for other in vocabulary.categories if other.index != category]))
