"""COCO data sets of a team's own: any ids, landmarks told by their names, masks left out with a word.

A fault of one entry sets its image aside and nothing else; a label whose image cannot be told is reported by itself.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.data.coco.dataset import are_numbers, coco_sections
from deepmark.data.coco.landmark_order import LandmarkOrder, landmark_order
from deepmark.data.ingest.strict_json import short_repr
from deepmark.errors import DeepmarkError
from deepmark.importing.labelled import LabelledGarment, LabelledImage, UnplacedLabel, UnusableError, category_named
from deepmark.labels.file_format import other_format
from deepmark.vocabulary import Vocabulary

_Id = int | str


def read_own_coco(file: Path, images: Path, vocabulary: Vocabulary) -> Iterator[LabelledImage | UnplacedLabel]:
    """The images of a COCO file, whose categories and landmarks are told by their names.

    Raises DeepmarkError where it is no COCO file.
    """
    try:
        sections = coco_sections(file, vocabulary)
    except DeepmarkError as error:
        raise (other_format(file, "a COCO data set") or error) from None
    kinds = _kinds(sections["categories"], vocabulary)
    known = Counter(map(_id, sections["images"]))
    labels: dict[_Id, list[tuple[int, dict[str, Any]]]] = {}
    for place, fields in enumerate(sections["annotations"]):
        owner = _id(fields, "image_id")
        if owner is not None and owner in known:
            labels.setdefault(owner, []).append((place, fields))
        elif owner is None:
            yield UnplacedLabel(name=f"annotations[{place}]", reason="has no image_id: some image lacks this label")
        else:
            reason = f"its image_id is {short_repr(owner)}, and the file names no such image"
            yield UnplacedLabel(name=f"annotations[{place}]", reason=reason)
    for place, entry in enumerate(sections["images"]):
        own = _id(entry)
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if own is None or known[own] > 1 or not isinstance(name, str) or not name:
            fault = "has no file_name" if own is not None and known[own] == 1 else "has no id of its own"
            yield LabelledImage(name=str(name or f"images[{place}]"), file=images, fault=fault)
        else:
            yield _labelled(entry, images / name, labels.get(own, []), kinds)


def _id(entry: Any, field: str = "id") -> _Id | None:
    """The id in a field of an entry; None where there is none."""
    value = entry.get(field) if isinstance(entry, dict) else None
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _kinds(entries: list[Any], vocabulary: Vocabulary) -> dict[_Id, LandmarkOrder | str]:
    """The categories of the file by their ids; for one that cannot be used, why."""
    kinds: dict[_Id, LandmarkOrder | str] = {}
    for entry in entries:
        number = _id(entry)
        if number is not None:
            kind = _kind(entry, vocabulary)
            twice = kinds.get(number, kind) != kind
            kinds[number] = f"has a garment of category {short_repr(number)}, which the file names twice"
            kinds[number] = kinds[number] if twice else kind
    return kinds


def _kind(entry: dict[str, Any], vocabulary: Vocabulary) -> LandmarkOrder | str:
    by_coco_name = {category.coco_name: category for category in vocabulary.categories}
    try:
        category = by_coco_name.get(str(entry.get("name"))) or category_named(entry.get("name"), vocabulary)
    except UnusableError as error:
        return str(error)
    return landmark_order(entry.get("keypoints"), category, vocabulary)


def _labelled(
    entry: dict[str, Any],
    file: Path,
    labels: list[tuple[int, dict[str, Any]]],
    kinds: Mapping[_Id, LandmarkOrder | str],
) -> LabelledImage:
    name, garments, notes = entry["file_name"], [], []
    for place, fields in labels:
        try:
            garments.append(_garment(fields, kinds))
        except UnusableError as error:
            return LabelledImage(name=name, file=file, fault=f"{error} (annotations[{place}])")
        polygons = fields.get("segmentation")
        notes += ["mask left out"] * isinstance(polygons, dict)
        notes += ["polygon left out"] * (isinstance(polygons, list) and bool(polygons))
    return LabelledImage(name=name, file=file, size=_size(entry), garments=tuple(garments), notes=tuple(notes))


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0 else None


def _garment(fields: dict[str, Any], kinds: Mapping[_Id, LandmarkOrder | str]) -> LabelledGarment:
    if fields.get("iscrowd"):
        raise UnusableError("has a crowd, which is no garment")
    attributes = fields.get("attributes")
    if isinstance(attributes, dict) and attributes.get("rotation"):
        raise UnusableError("has a box that is turned")
    number = _id(fields, "category_id")
    unknown = f"has a garment of category {short_repr(fields.get('category_id'))}, which the file does not name"
    kind = unknown if number is None else kinds.get(number, unknown)
    if isinstance(kind, str):
        raise UnusableError(kind)
    if not are_numbers(fields.get("bbox"), 4):
        found = short_repr(fields.get("bbox"))
        raise UnusableError(f"has a 'bbox' that should be four numbers x, y, width, height, found {found}")
    x, y, width, height = fields["bbox"]
    keypoints = fields.get("keypoints")
    unlabelled = keypoints is None or (isinstance(keypoints, list) and not keypoints)
    landmarks = np.zeros((kind.category.landmarks, 3)) if unlabelled else kind.landmarks(keypoints)
    if isinstance(landmarks, str):
        raise UnusableError(landmarks)
    if not np.isin(landmarks[:, 2], (0, 1, 2)).all():
        raise UnusableError("has a landmark whose visibility is not 0, 1 or 2")
    return LabelledGarment(
        category=kind.category,
        box=np.array([x, y, x + width, y + height], np.float64),
        landmarks=np.where(landmarks[:, 2:] > 0, landmarks, 0.0),
    )
