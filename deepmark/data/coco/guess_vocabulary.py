"""Makes a vocabulary of a COCO data set: what the file says, and what can be estimated from its annotations.

Names, order and skeleton are the file's. Pairs of left and right are guessed from names. Shapes are the median places
of landmarks in their boxes. Sigmas are estimated where garments were labelled twice, as COCO's own were.
"""

import re
import statistics
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.data.coco.dataset import CocoDataset, are_numbers, is_whole, read_coco
from deepmark.data.ingest.strict_json import short_repr
from deepmark.errors import DeepmarkError
from deepmark.shapes import Float
from deepmark.vocabulary import DEEPFASHION2, Vocabulary
from deepmark.vocabulary.plain_form import checked_vocabulary

DEFAULT_SIGMA = round(statistics.median(DEEPFASHION2.sigmas), 4)
"""For landmarks that were not labelled twice: the median of DeepFashion2's."""

ENOUGH = 20
"""A sigma is estimated from at least this many pairs of labels of its landmark, or of the mirrored one."""

SAME_LABEL_IOU = 0.7
"""Two boxes of a category in one image that overlap by this much are two labels of one garment."""

_SWAPPED = {"left": "right", "right": "left", "l": "r", "r": "l"}
_WORD = re.compile(r"[A-Za-z]+")
_BOX = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]


@dataclass(frozen=True, kw_only=True, slots=True)
class GuessedVocabulary:
    """A vocabulary, and which of it are guesses."""

    vocabulary: Vocabulary
    pairs: int
    """Of left and right, by their names."""

    estimated: int
    """Landmarks whose sigma comes from garments that were labelled twice; all others have `DEFAULT_SIGMA`."""

    labelled_twice: int
    """Garments."""

    as_boxes: tuple[str, ...]
    """Categories that are drawn as a rectangle, because they have no landmarks, or these show no area."""

    without_drawing: tuple[str, ...]
    """Categories with a landmark that no annotation has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Item:
    """An annotation."""

    image: str
    box: Float[np.ndarray, "4"]
    """x, y, width, height."""

    points: Float[np.ndarray, "k 3"]


def guess_vocabulary(path: Path, name: str) -> GuessedVocabulary:
    """The vocabulary of a COCO data set whose annotations have keypoints of their own category, or of all.

    Raises DeepmarkError where the file is none, has no keypoints, is DeepFashion2's, or has names that a vocabulary
    cannot have.
    """
    dataset = read_coco(path, DEEPFASHION2)  # whose layout is told from others by the names of keypoints
    categories = {category["id"]: category for category in dataset.categories}
    for number, one in categories.items():
        if not isinstance(one.get("name"), str):
            raise DeepmarkError(f"{path}: category {number}: its name is {short_repr(one.get('name'))}. Give it one.")
    if {one["name"] for one in categories.values()} == {one.coco_name for one in DEEPFASHION2.categories}:
        raise DeepmarkError(f"{path}: its categories are DeepFashion2's, which are built in: no vocabulary is needed.")
    spans = _spans(path, categories)
    items = _items(dataset, spans, {number: len(one.get("keypoints") or []) for number, one in categories.items()})
    entries, estimated, pairs, twice, as_boxes = [], 0, 0, 0, []
    for number in sorted(categories):
        title, parts = categories[number]["name"], spans[number][1]
        mirror = _mirror(parts)
        pairs += sum(part != partner for part, partner in zip(parts, mirror, strict=True)) // 2
        sigmas, again = _sigmas(items[number], [parts.index(partner) for partner in mirror])
        estimated, twice = estimated + sum(sigma is not None for sigma in sigmas), twice + again
        shape, is_box = _shape(items[number], parts, spans[number][0], categories[number].get("skeleton"))
        as_boxes += [title] * is_box
        at = shape.pop("at")
        landmarks = [
            {"name": part, "sigma": sigma or DEFAULT_SIGMA}
            | ({} if partner == part else {"mirror": partner})
            | ({"at": at[i]} if at else {})
            for i, (part, partner, sigma) in enumerate(zip(parts, mirror, sigmas, strict=True))
        ]
        entries.append({"name": title, "landmarks": landmarks, **shape})
    vocabulary = checked_vocabulary({"name": name, "categories": entries}, lambda place: str(path))
    return GuessedVocabulary(
        vocabulary=vocabulary,
        pairs=pairs,
        estimated=estimated,
        labelled_twice=twice,
        as_boxes=tuple(as_boxes),
        without_drawing=tuple(one.name for one in vocabulary.categories if one.drawing is None),
    )


def _spans(path: Path, categories: dict[int, dict[str, Any]]) -> dict[int, tuple[slice, list[str]]]:
    """For each category, where its own keypoints lie in those of an annotation, and their names.

    In the layout of DeepFashion2's converter every category has the keypoints of all, named "category: landmark".
    """
    names = {number: one.get("keypoints") or [] for number, one in categories.items()}
    for number, words in names.items():
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise DeepmarkError(
                f"{path}: category {number}: 'keypoints' should be a list of names. Write them into the file."
            )
    shared = next(iter(names.values()), [])
    owners = [word.partition(": ")[0] for word in shared]
    if all(words == shared for words in names.values()) and set(owners) <= {one["name"] for one in categories.values()}:
        found = {}
        for number, one in categories.items():
            own = [i for i, owner in enumerate(owners) if owner == one["name"]]
            span = slice(own[0], own[-1] + 1) if own else slice(0, 0)
            found[number] = span, [word.partition(": ")[2] for word in shared[span]]
        return found
    return {number: (slice(0, len(words)), words) for number, words in names.items()}


def _items(
    dataset: CocoDataset, spans: dict[int, tuple[slice, list[str]]], totals: dict[int, int]
) -> dict[int, list[_Item]]:
    """The annotations of each category; `totals` says how many keypoints they have."""
    files = {image["id"]: str(image.get("file_name", image["id"])) for image in dataset.images}
    found: dict[int, list[_Item]] = defaultdict(list)
    for place, fields in enumerate(dataset.annotations):
        number, values = fields["category_id"], fields.get("keypoints")
        values = values.tolist() if isinstance(values, np.ndarray) else values or []
        if totals[number] and values and not are_numbers(values, 3 * totals[number]):
            expected = f"{totals[number]} * 3 numbers, as its category has keypoints"
            dataset.fail(place, f"'keypoints' should be {expected}", "Correct the file.")
        if fields.get("iscrowd") or min(fields["bbox"][2:]) <= 0:
            continue
        rows = np.array(values if totals[number] else [], np.float64).reshape(-1, 3)
        span, names = spans[number]
        points = rows[span] if len(rows) else np.zeros((len(names), 3))
        box = np.array(fields["bbox"], np.float64)
        found[number].append(_Item(image=files[fields["image_id"]], box=box, points=points))
    return found


def _mirror(parts: list[str]) -> list[str]:
    """The partner of each landmark, by their names."""
    partners = [_partner(part, parts) for part in parts]
    return [
        partner if partners[parts.index(partner)] == part else part
        for part, partner in zip(parts, partners, strict=True)
    ]


def _partner(part: str, parts: list[str]) -> str:
    """The landmark that is left where this one is right, or right where it is left; itself where there is none."""

    def swapped(word: re.Match[str]) -> str:
        other = _SWAPPED.get(word[0].lower(), word[0])
        return other.upper() if word[0].isupper() else other.capitalize() if word[0][0].isupper() else other

    other = _WORD.sub(lambda word: swapped(word) if word[0].lower() in _SWAPPED else word[0], part.replace("_", " "))
    found = [name for name in parts if name.replace("_", " ") == other]
    return found[0] if len(found) == 1 else part


def _sigmas(items: list[_Item], mirror: list[int]) -> tuple[list[float | None], int]:
    """A sigma for each landmark, None where too few garments were labelled twice; and the number of such garments.

    Labels of two people are both wrong, so the standard deviation of one is that of the difference by the square root
    of two. Lengths are relative to the square root of the box's area. Source: COCO's definition of OKS.
    """
    by_image: dict[str, list[_Item]] = defaultdict(list)
    for item in items:
        by_image[item.image].append(item)
    squares: list[list[float]] = [[] for _ in mirror]
    twice = 0
    for same_image in by_image.values():
        taken: set[int] = set()
        for i, j in combinations(range(len(same_image)), 2):
            one, other = same_image[i], same_image[j]
            if {i, j} & taken or _iou(one.box, other.box) < SAME_LABEL_IOU:
                continue
            taken |= {i, j}
            twice += 1
            area = float(one.box[2:].prod() + other.box[2:].prod()) / 2
            both = np.flatnonzero((one.points[:, 2] > 0) & (other.points[:, 2] > 0))
            apart = ((one.points[both, :2] - other.points[both, :2]) ** 2).sum(axis=1) / area
            for landmark, square in zip(both.tolist(), apart.tolist(), strict=True):
                squares[landmark].append(square)
    found: list[float | None] = []
    for landmark, partner in enumerate(mirror):
        own = squares[landmark] + (squares[partner] if partner != landmark else [])
        sigma = round(float(np.sqrt(np.mean(own) / 2)), 4) if len(own) >= ENOUGH else 0.0
        found.append(sigma or None)
    return found, twice


def _iou(one: Float[np.ndarray, "4"], other: Float[np.ndarray, "4"]) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.maximum(high - low, 0).prod())
    return shared / float(one[2:].prod() + other[2:].prod() - shared)


def _shape(items: list[_Item], parts: list[str], span: slice, skeleton: Any) -> tuple[dict[str, Any], bool]:
    """The drawing: the hull of the landmarks' median places in the box, with the skeleton's lines; else a rectangle."""
    aspect = float(np.median([item.box[2] / item.box[3] for item in items])) if items else 1.0
    at = [_median_place(items, landmark) for landmark in range(len(parts))]
    places = [place for place in at if place is not None]
    if len(places) < len(parts) or not items:
        return {"at": [], "aspect": round(aspect, 4), "outline": _BOX} if not parts else {"at": []}, not parts
    hull = _hull(places)
    lines = [
        [parts[a - 1 - span.start], parts[b - 1 - span.start]]
        for a, b in (edge for edge in (skeleton if isinstance(skeleton, list) else []) if _is_edge(edge))
        if span.start < min(a, b) and max(a, b) <= span.stop and a != b
    ]
    shape: dict[str, Any] = {"at": places, "aspect": round(aspect, 4)}
    shape["outline"] = [parts[i] for i in hull] if len(hull) > 2 else _BOX
    return shape | ({"lines": lines} if lines else {}), len(hull) <= 2


def _is_edge(edge: Any) -> bool:
    return isinstance(edge, list) and len(edge) == 2 and all(map(is_whole, edge))


def _median_place(items: list[_Item], landmark: int) -> list[float] | None:
    """x, y in the unit square of the box; None where no garment has the label."""
    labelled = [item for item in items if item.points[landmark, 2] > 0]
    if not labelled:
        return None
    inside = [(item.points[landmark, :2] - item.box[:2]) / item.box[2:] for item in labelled]
    x, y = np.clip(np.median(inside, axis=0), 0, 1).round(4).tolist()
    return [x, y]


def _hull(points: list[list[float]]) -> list[int]:
    """The indices of the points of the convex hull, in order around it. Source: Andrew's monotone chain, 1979."""
    order = sorted(range(len(points)), key=lambda i: points[i])

    def half(indices: list[int]) -> list[int]:
        chain: list[int] = []
        for i in indices:
            while len(chain) > 1 and _turn(points[chain[-2]], points[chain[-1]], points[i]) <= 1e-9:
                chain.pop()
            chain.append(i)
        return chain[:-1]

    return half(order) + half(order[::-1])


def _turn(a: list[float], b: list[float], c: list[float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
