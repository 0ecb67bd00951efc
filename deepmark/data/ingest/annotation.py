"""Parses an annotation file in DeepFashion2's format, of any vocabulary, checks every field, and returns garments.

A file must have all fields of the format and no others. Nothing is repaired, with two exceptions that are counted: a
box is clipped to its image, and the coordinates of a landmark with v = 0 are set to 0. A labelled landmark outside the
image keeps its position, because the official metric measures distances from it.

Source: DeepFashion2, 2019, section 3 and the format page of its public repository.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepmark.data.corrections import Correction, corrected
from deepmark.data.ingest.strict_json import InvalidInputError, parse_json, short_repr
from deepmark.geometry import box_areas, clip_boxes
from deepmark.schema import SOURCES, SUBSETS
from deepmark.types import Garment
from deepmark.vocabulary import Category, Vocabulary

ITEM_FIELDS = frozenset(
    {"category_id", "category_name", "style", "bounding_box", "landmarks", "segmentation", *SUBSETS}
)

MAX_COORDINATE = 65_535
"""Pixels. The longest side that a JPEG can have; coordinates outside the image are accepted up to this value."""

ITEM_NAME = re.compile(r"item[1-9][0-9]{0,8}", re.ASCII)
"""The key of an item in an annotation file."""

_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """The content of an annotation file."""

    source: str
    pair_id: int
    garments: tuple[Garment, ...]
    """Sorted by the number of their item."""

    notes: Counter[str]
    """Unusual things that were accepted: boxes_clipped, landmarks_outside, unlabelled_landmarks_zeroed."""


def _invalid(where: str, expected: str, found: Any) -> InvalidInputError:
    return InvalidInputError("field_invalid", f"{where}: expected {expected}, found {short_repr(found)}")


def _check_keys(fields: dict[str, Any], required: frozenset[str], where: str) -> None:
    missing, unknown = sorted(required - fields.keys()), sorted(fields.keys() - required)
    if missing:
        raise InvalidInputError("field_missing", f"{where}the field '{missing[0]}' is missing")
    if unknown:
        raise InvalidInputError("field_unknown", f"{where}the format has no field {short_repr(unknown[0])}")


def _integer(value: Any, allowed: range, where: str, expected: str) -> int:
    if type(value) is not int or value not in allowed:
        raise _invalid(where, expected, value)
    return value


def _coordinates(values: list[Any], where: str) -> np.ndarray:
    for value in values:
        if type(value) is not int and type(value) is not float:
            raise _invalid(where, "numbers", value)
        if abs(value) > MAX_COORDINATE:
            raise InvalidInputError(
                "coordinate_out_of_range", f"{where}: no image is large enough for {short_repr(value)}"
            )
    return np.array(values, dtype=np.float64)


def _category(item: dict[str, Any], vocabulary: Vocabulary, where: str) -> Category:
    number, name = item["category_id"], item["category_name"]
    count = len(vocabulary.categories)
    if type(number) is not int or not 1 <= number <= count:
        raise InvalidInputError(
            "category_unknown", f"{where}: category_id: expected 1 to {count}, found {short_repr(number)}"
        )
    category = vocabulary.categories[number - 1]
    if name != category.name:
        raise InvalidInputError(
            "category_name_differs",
            f"{where}: category_id {number} is '{category.name}', but category_name says {short_repr(name)}",
        )
    return category


def _box(value: Any, size: tuple[int, int], notes: Counter[str], where: str) -> np.ndarray:
    if not isinstance(value, list) or len(value) != 4:
        raise _invalid(where, "four numbers x1, y1, x2, y2", value)
    box = _coordinates(value, where)[None]
    if not box_areas(box)[0]:
        raise InvalidInputError("box_empty", f"{where}: {short_repr(value)} is empty or inverted")
    clipped = clip_boxes(box, size)
    if not box_areas(clipped)[0]:
        height, width = size
        raise InvalidInputError(
            "box_outside", f"{where}: {short_repr(value)} lies outside the image of {width} x {height}"
        )
    notes["boxes_clipped"] += bool((clipped != box).any())
    return clipped[0]


def _landmarks(value: Any, count: int, size: tuple[int, int], notes: Counter[str], where: str) -> np.ndarray:
    if not isinstance(value, list):
        raise _invalid(where, "a list of numbers x, y, v", value)
    if len(value) != 3 * count:
        raise InvalidInputError(
            "landmarks_wrong_number",
            f"{where}: expected {3 * count} numbers for the {count} landmarks of its category, found {len(value)}",
        )
    landmarks = _coordinates(value, where).reshape(count, 3)
    points, visibility = landmarks[:, :2], landmarks[:, 2]
    if not np.isin(visibility, (0, 1, 2)).all():
        raise _invalid(where, "visibilities of 0, 1 or 2", visibility[~np.isin(visibility, (0, 1, 2))][0].item())
    height, width = size
    outside = ((points < 0) | (points > (width, height))).any(axis=1)
    notes["landmarks_outside"] += int((outside & (visibility > 0)).sum())
    notes["unlabelled_landmarks_zeroed"] += int(((visibility == 0) & points.any(axis=1)).sum())
    points[visibility == 0] = 0.0
    return landmarks + 0.0  # no negative zeros


def _polygons(value: Any, where: str) -> tuple[np.ndarray, ...]:
    if not isinstance(value, list):
        raise _invalid(where, "a list of polygons", value)
    for polygon in value:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise _invalid(where, "polygons of three or more points x, y", polygon)
    return tuple(_coordinates(polygon, where).reshape(-1, 2) for polygon in value)


def _garment(name: str, item: Any, size: tuple[int, int], vocabulary: Vocabulary, notes: Counter[str]) -> Garment:
    if not isinstance(item, dict):
        raise _invalid(name, "an object", item)
    _check_keys(item, ITEM_FIELDS, f"{name}: ")
    category = _category(item, vocabulary, name)
    return Garment(
        item=name,
        category=category.index,
        style=_integer(item["style"], range(2**63), f"{name}: style", "a whole number, 0 or more"),
        box=_box(item["bounding_box"], size, notes, f"{name}: bounding_box"),
        landmarks=_landmarks(item["landmarks"], category.landmarks, size, notes, f"{name}: landmarks"),
        polygons=_polygons(item["segmentation"], f"{name}: segmentation"),
        **{field: _integer(item[field], range(1, 4), f"{name}: {field}", "1, 2 or 3") for field in SUBSETS},
    )


def check_item(name: str, item: Any, *, size: tuple[int, int], vocabulary: Vocabulary) -> None:
    """Raise InvalidInputError where an item of an image of this (height, width) is none that is accepted."""
    _garment(name, item, size, vocabulary, Counter())


def parse_annotation(
    data: bytes,
    *,
    size: tuple[int, int],
    vocabulary: Vocabulary,
    corrections: Sequence[Correction] = (),
    where: object = "annotation",
) -> Annotation:
    """The content of an annotation file after its corrections; `size` is the (height, width) of its image.

    Raises InvalidInputError, whose reason names the item, the field and the value that was found, and DeepmarkError,
    which names the file by `where`, for a correction of an item that has changed since.
    """
    fields = parse_json(data)
    if not isinstance(fields, dict):
        raise InvalidInputError(
            "field_invalid", f"expected an object with source, pair_id and items, found {short_repr(fields)}"
        )
    if corrections:
        fields = corrected(fields, corrections, where)
    items = sorted(filter(ITEM_NAME.fullmatch, fields), key=lambda name: int(name[4:]))
    _check_keys(fields, frozenset({"source", "pair_id", *items}), "")
    if not items:
        raise InvalidInputError("items_missing", "holds no item")
    if fields["source"] not in SOURCES:
        raise _invalid("source", " or ".join(SOURCES), fields["source"])
    notes: Counter[str] = Counter()
    return Annotation(
        source=fields["source"],
        pair_id=_integer(fields["pair_id"], _INT64, "pair_id", "a whole number"),
        garments=tuple(_garment(name, fields[name], size, vocabulary, notes) for name in items),
        notes=notes,
    )
