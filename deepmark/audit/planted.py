"""Faults planted into labels, as people make them: what a fault looks like beside this model is learnt from them.

Another garment's landmarks take the place of a fault's own, so that nothing but what is wrong gives a fault away.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from deepmark.audit.labels import Labels
from deepmark.shapes import Float, Int64


def take(labels: Labels, rows: Int64[np.ndarray, " n"]) -> Labels:
    """The labels at these rows."""
    return replace(
        labels,
        category=labels.category[rows],
        boxes=labels.boxes[rows],
        landmarks=labels.landmarks[rows],
        splits=[labels.splits[row] for row in rows.tolist()],
        image_ids=labels.image_ids[rows],
        items=[labels.items[row] for row in rows.tolist()],
        sizes=labels.sizes[rows],
    )


def other_category(labels: Labels, donors: Labels, rng: Generator) -> Labels:
    """Each label with the category and the landmarks of a donor of another one, fitted into its box."""
    changed = replace(labels, category=donors.category, landmarks=_fitted(donors, labels.boxes))
    return take(changed, np.flatnonzero(donors.category != labels.category))


def _fitted(donors: Labels, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n k 3"]:
    """The donors' landmarks, moved and scaled from their boxes into others."""
    own = donors.boxes[:, None]
    scale = (boxes[:, None, 2:] - boxes[:, None, :2]) / np.maximum(own[..., 2:] - own[..., :2], 1e-6)
    landmarks = donors.landmarks.copy()
    landmarks[..., :2] = boxes[:, None, :2] + (landmarks[..., :2] - own[..., :2]) * scale
    return np.where(donors.landmarks[..., 2:] > 0, landmarks, 0.0)


def _clipped(labels: Labels, boxes: Float[np.ndarray, "n 4"]) -> Labels:
    boxes = np.clip(boxes, 0, np.tile(labels.sizes, 2))
    large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) > 4
    changed = np.abs(boxes - labels.boxes).max(axis=1) > 0.1 * np.sqrt(
        np.prod(labels.boxes[:, 2:] - labels.boxes[:, :2], axis=1)
    )
    return take(replace(labels, boxes=boxes), np.flatnonzero(large & changed))


def moved_box(labels: Labels, donors: Labels, rng: Generator) -> Labels:
    """Boxes moved by 15 to 45% of their sides; landmarks stay."""
    sides = labels.boxes[:, 2:] - labels.boxes[:, :2]
    by = sides * rng.uniform(0.15, 0.45, sides.shape) * rng.choice([-1, 1], sides.shape)
    return _clipped(labels, labels.boxes + np.tile(by, 2))


def scaled_box(labels: Labels, donors: Labels, rng: Generator) -> Labels:
    """Boxes larger or smaller by a factor of 1.25 to 1.8."""
    sides = labels.boxes[:, 2:] - labels.boxes[:, :2]
    factor = np.exp(rng.uniform(np.log(1.25), np.log(1.8), (len(sides), 1)) * rng.choice([-1, 1], (len(sides), 1)))
    more = sides * (factor - 1) / 2
    return _clipped(labels, labels.boxes + np.concatenate([-more, more], axis=1))


def mirrored(labels: Labels, donors: Labels, rng: Generator) -> Labels:
    """Landmarks under the numbers of their mirror partners."""
    landmarks = labels.landmarks.copy()
    for category in labels.vocabulary.categories:
        rows = np.flatnonzero(labels.category == category.index)
        landmarks[rows, : category.landmarks] = labels.landmarks[rows][:, list(category.mirror)]
    changed = (landmarks != labels.landmarks).any(axis=(1, 2))
    return take(replace(labels, landmarks=landmarks), np.flatnonzero(changed))


def moved_landmarks(labels: Labels, donors: Labels, rng: Generator) -> Labels:
    """One to four landmarks moved by 10 to 35% of the box's longer side."""
    landmarks, long = labels.landmarks.copy(), (labels.boxes[:, 2:] - labels.boxes[:, :2]).max(axis=1)
    for row, points in enumerate(landmarks):
        labelled = np.flatnonzero(points[:, 2] > 0)
        if len(labelled) < 4:
            continue
        chosen = rng.choice(labelled, rng.integers(1, 5), replace=False)
        angle, far = rng.uniform(0, 2 * np.pi, len(chosen)), rng.uniform(0.1, 0.35, len(chosen)) * long[row]
        points[chosen, :2] += np.column_stack([np.cos(angle), np.sin(angle)]) * far[:, None]
        points[chosen, :2] = np.clip(points[chosen, :2], 0, labels.sizes[row])
    return take(replace(labels, landmarks=landmarks), np.flatnonzero((landmarks != labels.landmarks).any(axis=(1, 2))))


def made_up(labels: Labels, donors: Labels, rng: Generator) -> Labels:
    """The donors' garments anywhere in the images of the labels."""
    sides = (donors.boxes[:, 2:] - donors.boxes[:, :2]) / donors.sizes * labels.sizes
    sides = np.minimum(sides, labels.sizes - 1)
    corner = rng.uniform(0, 1, sides.shape) * (labels.sizes - sides)
    boxes = np.concatenate([corner, corner + sides], axis=1)
    return replace(labels, category=donors.category, boxes=boxes, landmarks=_fitted(donors, boxes))


FAULTS: dict[str, Callable[[Labels, Labels, Generator], Labels]] = {
    "wrong category": other_category,
    "moved box": moved_box,
    "scaled box": scaled_box,
    "mirrored landmarks": mirrored,
    "misplaced landmarks": moved_landmarks,
    "nothing there": made_up,
}
"""By the kind of issue that a fault is."""


BY_MODEL_ALONE = ("wrong category", "nothing there")
"""Kinds that neither boxes nor landmarks give away."""


def plant(labels: Labels, *, most: int, seed: int) -> dict[str, Labels]:
    """Labels with a fault each, by kind: of at most so many labels, chosen by lot."""
    rng, made = np.random.default_rng(seed), {}
    for kind, fault in FAULTS.items():
        rows, donors = (rng.permutation(len(labels))[:most] for _ in range(2))
        made[kind] = fault(take(labels, rows), take(labels, donors), rng)
    return made
