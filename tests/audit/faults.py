"""Right labels made wrong on purpose, in ways that people make them wrong; and a model to hold against them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from deepmark.geometry import box_iou
from deepmark.schema import CATEGORIES
from deepmark.types import Garment, ImageRecord


def mirrored(rng: Generator, item: Garment, record: ImageRecord) -> Garment | None:
    """All landmarks under the numbers of their mirror partners."""
    landmarks = item.landmarks[list(CATEGORIES[item.category].mirror)]
    labelled = item.landmarks[:, 2] > 0
    return replace(item, landmarks=landmarks) if labelled.sum() >= 8 else None


def swapped(rng: Generator, item: Garment, record: ImageRecord) -> Garment | None:
    """One landmark and its mirror partner under each other's number."""
    mirror = CATEGORIES[item.category].mirror
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
    other = CATEGORIES[rng.choice([c.index for c in CATEGORIES if c.index != item.category])]
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
