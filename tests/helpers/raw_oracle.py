"""The rules of raw inputs as docs/data.md tells them, written a second time, to judge what ingest does.

Nothing here imports ingest. Images are judged by Pillow, and every fault of an annotation is listed.
"""

import hashlib
import json
import math
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from deepmark.vocabulary import DEEPFASHION2

Fault = tuple[str, str]
"""The kind of a fault, and the item that has it; "" for the whole file."""

SUBSETS = ("scale", "occlusion", "zoom_in", "viewpoint")
FIELDS = {"category_id", "category_name", "style", "bounding_box", "landmarks", "segmentation", *SUBSETS}


def image_facts(jpeg: bytes) -> tuple[int, int, int] | None:
    """(height, width, orientation) of a JPEG that Pillow decodes and ingest may take; None for anything else."""
    try:
        with Image.open(BytesIO(jpeg), formats=["JPEG", "MPO"]) as image:
            if image.mode not in ("L", "RGB") or image.width * image.height > 50e6:
                return None
            orientation = image.getexif().get(0x0112, 1)
            image.load()
            return image.height, image.width, orientation
    except Exception:
        return None


def parse(text: bytes, faults: set[Fault]) -> Any:
    """The value of a JSON text; adds what is wrong with it."""

    def constant(word: str) -> float:
        faults.add(("number_not_finite", ""))
        return 0.0

    def number(digits: str) -> float:
        if math.isinf(float(digits)):
            faults.add(("number_not_finite", ""))
        return float(digits)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            faults.add(("key_duplicate", ""))
        return dict(pairs)

    try:
        return json.loads(
            text.decode("utf-8-sig"), parse_constant=constant, parse_float=number, object_pairs_hook=unique
        )
    except (ValueError, RecursionError):
        faults.add(("json_unreadable", ""))
        return None


def is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def are_numbers(values: list[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def are_small(values: list[Any]) -> bool:
    return all(abs(value) <= 65_535 for value in values)


def coordinate_faults(values: Any, item: str) -> set[Fault]:
    """Of a list: what keeps it from being coordinates."""
    if not are_numbers(values):
        return {("field_invalid", item)}
    return set() if are_small(values) else {("coordinate_out_of_range", item)}


def clipped(box: list[float], height: int, width: int) -> list[float]:
    return [min(max(value, 0), side) + 0.0 for value, side in zip(box, (width, height) * 2, strict=True)]


def is_empty(box: list[float]) -> bool:
    return box[2] <= box[0] or box[3] <= box[1]


def item_faults(item: Any, name: str, height: int, width: int) -> set[Fault]:
    if not isinstance(item, dict):
        return {("field_invalid", name)}
    if item.keys() != FIELDS:
        missing, more = FIELDS - item.keys(), item.keys() - FIELDS
        return {(kind, name) for kind, keys in (("field_missing", missing), ("field_unknown", more)) if keys}
    faults: set[Fault] = set()
    known = is_int(item["category_id"], 1, 13)
    if not known:
        faults.add(("category_unknown", name))
    elif item["category_name"] != DEEPFASHION2.categories[item["category_id"] - 1].name:
        faults.add(("category_name_differs", name))
    if not is_int(item["style"], 0, 2**63 - 1) or not all(is_int(item[field], 1, 3) for field in SUBSETS):
        faults.add(("field_invalid", name))
    box, landmarks, polygons = item["bounding_box"], item["landmarks"], item["segmentation"]
    if not isinstance(box, list) or len(box) != 4:
        faults.add(("field_invalid", name))
    elif wrong := coordinate_faults(box, name):
        faults |= wrong
    elif is_empty(box):
        faults.add(("box_empty", name))
    elif is_empty(clipped(box, height, width)):
        faults.add(("box_outside", name))
    if not isinstance(landmarks, list):
        faults.add(("field_invalid", name))
    elif known and len(landmarks) != 3 * DEEPFASHION2.categories[item["category_id"] - 1].landmarks:
        faults.add(("landmarks_wrong_number", name))
    elif wrong := coordinate_faults(landmarks, name):
        faults |= wrong
    elif not all(value in (0, 1, 2) for value in landmarks[2::3]):
        faults.add(("field_invalid", name))
    if not isinstance(polygons, list):
        return faults | {("field_invalid", name)}
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            faults.add(("field_invalid", name))
        else:
            faults |= coordinate_faults(polygon, name)
    return faults


def annotation_faults(text: bytes, height: int, width: int) -> set[Fault]:
    """Everything that is wrong with an annotation of an image of this size; empty where it should be accepted."""
    faults: set[Fault] = set()
    values = parse(text, faults)
    if ("json_unreadable", "") in faults:
        return faults
    if not isinstance(values, dict):
        return faults | {("field_invalid", "")}
    items = {name for name in values if re.fullmatch("item[1-9][0-9]{0,8}", name)}
    if {"source", "pair_id"} - values.keys():
        faults.add(("field_missing", ""))
    if values.keys() - items - {"source", "pair_id"}:
        faults.add(("field_unknown", ""))
    if not items:
        faults.add(("items_missing", ""))
    if values.get("source") not in ("shop", "user") or not is_int(values.get("pair_id"), -(2**63), 2**63 - 1):
        faults.add(("field_invalid", ""))
    for name in items:
        faults |= item_faults(values[name], name, height, width)
    return faults


def leaves(text: bytes, height: int, width: int) -> bool:
    """Whether a label of a sound annotation lies outside an image of this size."""
    items = [value for name, value in parse(text, set()).items() if name.startswith("item")]
    points = [(x, y) for item in items for x, y, v in np.reshape(item["landmarks"], (-1, 3)).tolist() if v]
    boxes = [tuple(corner) for item in items for corner in np.reshape(item["bounding_box"], (2, 2)).tolist()]
    return any(not 0 <= x <= width or not 0 <= y <= height for x, y in points + boxes)


def input_faults(folder: Path, name: str) -> set[Fault]:
    """Everything that keeps the image and the annotation of this number from becoming a record."""
    image, annotation = folder / f"image/{name}.jpg", folder / f"annos/{name}.json"
    if not image.is_symlink() and not image.exists():
        return {("picture_missing", "")}
    if not annotation.exists():
        return {("annotation_missing", "")}
    if not image.is_file() or not annotation.is_file():
        return {("file_unreadable", "")}
    facts = image_facts(image.read_bytes())
    if facts is None:
        return {("picture_unreadable", ""), ("picture_too_large", "")}
    height, width, orientation = facts
    text = annotation.read_bytes()
    faults = annotation_faults(text, height, width)
    if orientation >= 5 and {kind for kind, _ in faults} <= {"box_outside"}:
        outside = bool(faults) or leaves(text, height, width)
        if outside and not annotation_faults(text, width, height) and not leaves(text, width, height):
            return {("orientation_differs", "")}
    return faults


def expected_record(folder: Path, name: str) -> dict[str, Any]:
    """The record of a sound input, as plain values."""
    jpeg = (folder / f"image/{name}.jpg").read_bytes()
    facts = image_facts(jpeg)
    assert facts is not None
    height, width, _ = facts
    values = parse((folder / f"annos/{name}.json").read_bytes(), set())
    garments = []
    for key in sorted((key for key in values if key.startswith("item")), key=lambda key: int(key[4:])):
        item = values[key]
        points = [point if point[2] else [0.0, 0.0, 0.0] for point in np.reshape(item["landmarks"], (-1, 3)).tolist()]
        garments.append(
            {
                "item": key,
                "category": item["category_id"] - 1,
                "style": item["style"],
                "box": clipped(item["bounding_box"], height, width),
                "landmarks": points,
                "polygons": [np.reshape(polygon, (-1, 2)).tolist() for polygon in item["segmentation"]],
                **{field: item[field] for field in SUBSETS},
            }
        )
    return {
        "id": int(name),
        "file": f"image/{name}.jpg",
        "sha256": hashlib.sha256(jpeg).hexdigest(),
        "bytes": len(jpeg),
        "width": width,
        "height": height,
        "source": values["source"],
        "pair_id": values["pair_id"],
        "garments": garments,
    }
