"""Faults in the labels of a raw split, of seven kinds that people make, and the truth that they took the place of.

An image has one fault at most. `spoil` writes annotation files beside images that stay where they are.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from deepmark.data.ingest.annotation import ITEM_NAME
from deepmark.files import new_folder
from deepmark.geometry import box_iou
from deepmark.schema import SAME_GARMENT_IOU
from deepmark.vocabulary import DEEPFASHION2, Category

Item = dict[str, Any]
Size = tuple[int, int]
"""Width and height of an image, pixels."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A wrong label, and what is right in its place."""

    kind: str
    split: str
    image_id: int
    item: str
    wrong: Item | None
    """As it stands in the spoilt annotation file; None where the item was removed."""

    right: Item | None
    """None where the item was made up."""


def _points(item: Item) -> np.ndarray:
    return np.array(item["landmarks"], np.float64).reshape(-1, 3)


def _with(item: Item, **changes: np.ndarray) -> Item:
    return item | {name: np.round(value, 2).ravel().tolist() for name, value in changes.items()}


def _as_category(rng: Generator, item: Item, category: Category) -> Item:
    """The item as one of this category, its landmarks where its drawing has them in the box."""
    box = np.array(item["bounding_box"], np.float64)
    sides = box[2:] - box[:2]
    places = box[:2] + np.array(category.shape.points)[: category.landmarks] * sides
    places += rng.normal(0, 0.02, places.shape) * sides
    landmarks = np.column_stack([places, np.full(category.landmarks, 2.0)])
    named = item | {"category_id": category.index + 1, "category_name": category.name, "segmentation": []}
    return _with(named, landmarks=landmarks)


def _other(rng: Generator, item: Item) -> Category:
    others = [each for each in DEEPFASHION2.categories if each.index + 1 != item["category_id"]]
    return others[rng.integers(len(others))]


def category(rng: Generator, item: Item, size: Size) -> Item | None:
    """Another category, with landmarks of its own."""
    return _as_category(rng, item, _other(rng, item))


def box_moved(rng: Generator, item: Item, size: Size) -> Item | None:
    """The box moved by 30% of each side, its landmarks not."""
    box = np.array(item["bounding_box"], np.float64)
    moved = box + np.tile(0.3 * (box[2:] - box[:2]) * rng.choice([-1, 1], 2), 2)
    moved = np.clip(moved, 0, [*size, *size])
    return _with(item, bounding_box=moved) if box_iou(moved[None], box[None])[0, 0] < 0.6 else None


def box_grown(rng: Generator, item: Item, size: Size) -> Item | None:
    """Sides of one and a half times their length, as far as the image goes."""
    box = np.array(item["bounding_box"], np.float64)
    more = 0.25 * (box[2:] - box[:2])
    grown = np.clip(box + np.concatenate([-more, more]), 0, [*size, *size])
    return _with(item, bounding_box=grown) if box_iou(grown[None], box[None])[0, 0] < 0.7 else None


def mirrored(rng: Generator, item: Item, size: Size) -> Item | None:
    """All landmarks under the numbers of their mirror partners."""
    points = _points(item)
    if (points[:, 2] > 0).sum() < 8:
        return None
    return _with(item, landmarks=points[list(DEEPFASHION2.categories[item["category_id"] - 1].mirror)])


def landmarks_moved(rng: Generator, item: Item, size: Size) -> Item | None:
    """Three landmarks moved by 15 to 30% of the box's longer side, each in a direction of its own."""
    points, box = _points(item), np.array(item["bounding_box"], np.float64)
    labelled = np.flatnonzero(points[:, 2] > 0)
    if len(labelled) < 6:
        return None
    chosen = rng.choice(labelled, 3, replace=False)
    angle, far = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0.15, 0.3, 3) * (box[2:] - box[:2]).max()
    points[chosen, :2] += np.column_stack([np.cos(angle), np.sin(angle)]) * far[:, None]
    points[chosen, :2] = np.clip(points[chosen, :2], 0, np.array(size) - 1)
    return _with(item, landmarks=points)


CHANGES: dict[str, Callable[[Generator, Item, Size], Item | None]] = {
    "category": category,
    "box moved": box_moved,
    "box grown": box_grown,
    "mirrored": mirrored,
    "landmarks moved": landmarks_moved,
}
KINDS = (*CHANGES, "removed", "made up")


@dataclass
class Split:
    """The annotation files of a split, by image, and the size of each image."""

    name: str
    files: dict[int, dict[str, Any]]
    sizes: dict[int, Size]

    def items(self, image: int) -> dict[str, Item]:
        return {name: item for name, item in self.files[image].items() if ITEM_NAME.fullmatch(name)}


def read_split(raw: Path, name: str, sizes: dict[int, Size]) -> Split:
    """The labels of a split below the folder of raw data."""
    files = {image: json.loads((raw / name / f"annos/{image:06d}.json").read_text("utf-8")) for image in sizes}
    return Split(name, files, sizes)


def spoil(split: Split, *, share: float, rng: Generator) -> list[Fault]:
    """Spoil this share of a split's items, in place: as many of each kind, but for the remainder."""
    pool = [item for image in split.files for item in split.items(image).values()]
    left, faults = rng.permutation(list(split.files)).tolist(), []
    for number in range(round(share * len(pool))):
        kind = KINDS[number % len(KINDS)]
        tries = ((image, _fault(split, kind, image, pool, rng)) for image in left)
        image, fault = next((image, fault) for image, fault in tries if fault is not None)
        left.remove(image)
        faults.append(fault)
    return faults


def _fault(split: Split, kind: str, image: int, pool: list[Item], rng: Generator) -> Fault | None:
    """A fault of this kind at an item of the image, or beside all; None where it cannot be."""
    items, size = split.items(image), split.sizes[image]
    name = list(items)[rng.integers(len(items))]
    right, wrong = items[name], None
    if kind == "made up":
        name = f"item{1 + max(int(one[4:]) for one in items)}"
        right, wrong = None, _made_up(rng, list(items.values()), pool, size)
    elif kind in CHANGES:
        wrong = CHANGES[kind](rng, right, size)
    elif len(items) < 2:
        return None
    if kind != "removed" and wrong is None:
        return None
    if wrong is None:
        del split.files[image][name]
    else:
        split.files[image][name] = wrong
    return Fault(kind=kind, split=split.name, image_id=image, item=name, wrong=wrong, right=right)


def _made_up(rng: Generator, items: list[Item], pool: list[Item], size: Size) -> Item | None:
    """A garment of any category where none is, as large as another one of the split."""
    like = pool[rng.integers(len(pool))]
    box = np.array(like["bounding_box"], np.float64)
    sides = np.minimum(box[2:] - box[:2], np.array(size) - 2)
    corner = rng.uniform(0, np.array(size) - sides)
    place = np.concatenate([corner, corner + sides])
    others = np.array([item["bounding_box"] for item in items], np.float64).reshape(-1, 4)
    if box_iou(place[None], others).max(initial=0) >= 0.2:
        return None
    return _as_category(rng, _with(like, bounding_box=place) | {"style": 0}, _other(rng, like))


Key = tuple[str, int, str]
"""Split, image and item of a fault."""

Entry = tuple[str, int, str | None, Any]
"""Of the audit's list: split, image, item, and the box of a detection."""


def faults_seen(entries: Iterable[Entry], faults: list[Fault]) -> list[Key | None]:
    """For every entry of the audit's list the fault that somebody who looks at it sees.

    An entry about an item shows that item; one about a missing label shows a removed garment whose box it overlaps.
    """
    spoilt = {(one.split, one.image_id, one.item) for one in faults if one.wrong is not None}
    removed = {(one.split, one.image_id): one for one in faults if one.wrong is None}
    seen: list[Key | None] = []
    for name, image, item, box in entries:
        gone = removed.get((name, image))
        if item is None and gone is not None and gone.right is not None and box is not None:
            boxes = np.array([box], np.float64), np.array([gone.right["bounding_box"]], np.float64)
            seen.append((name, image, gone.item) if box_iou(*boxes)[0, 0] >= SAME_GARMENT_IOU else None)
        else:
            seen.append((name, image, item) if item and (name, image, item) in spoilt else None)
    return seen


def write_split(raw: Path, split: Split, images: Path) -> None:
    """The split below `raw`: its labels, and a link to the images."""
    with new_folder(raw / split.name) as draft:
        (draft / "image").symlink_to(images.absolute())
        (draft / "annos").mkdir()
        for image, fields in split.files.items():
            (draft / f"annos/{image:06d}.json").write_text(json.dumps(fields), "utf-8")


def corrected(split: Split, faults: list[Fault]) -> Split:
    """The split after somebody has put these faults right."""
    files = dict(split.files)
    for fault in faults:
        fields = {name: value for name, value in files[fault.image_id].items() if name != fault.item}
        files[fault.image_id] = fields if fault.right is None else fields | {fault.item: fault.right}
    return replace(split, files=files)
