"""Reads and checks a COCO data set file: images, categories, and annotations with keypoints as arrays.

The layout is that of DeepFashion2's official converter, where every annotation has the keypoints of all categories, in
DeepFashion2 294 * 3 numbers, which are zero outside its own; or, as other tools write it, those of its category alone.
Nothing is repaired, because metrics of a repaired file would be those of another file.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from deepmark.data.ingest.strict_json import InvalidInputError, object_with_unique_keys, parse_json, short_repr
from deepmark.errors import DeepmarkError
from deepmark.shapes import Float
from deepmark.vocabulary import Category, Vocabulary

_REMEDY = "Export the file again; `deepmark convert --to coco` writes a complete one from records."


OTHERS = "labels landmarks of another category"

_SECTIONS = ("images", "categories", "annotations")


@dataclass(frozen=True, kw_only=True, slots=True)
class CocoDataset:
    """The content of a COCO data set file; "keypoints" that are all of the flat list's are an array."""

    path: Path
    vocabulary: Vocabulary
    """The one that the file was read by."""

    images: list[dict[str, Any]]
    categories: list[dict[str, Any]]
    annotations: list[dict[str, Any]]

    @property
    def image_ids(self) -> frozenset[int]:
        return frozenset(image["id"] for image in self.images)

    @property
    def category_ids(self) -> list[int]:
        """Ascending, as on the axes of the metric's arrays."""
        return sorted({category["id"] for category in self.categories})

    def fail(self, number: int, fault: str, remedy: str = _REMEDY) -> NoReturn:
        """Raise DeepmarkError about the annotation at this position in the list, counted from 0."""
        name = (
            short_repr(self.annotations[number].get("id", "none"))
            if isinstance(self.annotations[number], dict)
            else "?"
        )
        raise DeepmarkError(f"{self.path}: annotations[{number}] (id {name}): {fault}. {remedy}")


def is_whole(value: Any) -> bool:
    """Whether a value of a JSON file is a whole number of 63 bits, 0 or more: a count or an id."""
    return type(value) is int and 0 <= value < 2**63


def is_number(value: Any) -> bool:
    """Whether a value of a JSON file is a finite number that fits into a double."""
    return type(value) in (int, float) and abs(value) < 1e300


def are_numbers(value: Any, count: int) -> bool:
    """Whether a value of a JSON file is a list of `count` finite numbers."""
    return isinstance(value, list) and len(value) == count and all(map(is_number, value))


def _compact(pairs: list[tuple[str, Any]], landmarks: int) -> dict[str, Any]:
    """The object with its keypoints as an array; a list of 294 * 3 would take ten times the memory."""
    fields = object_with_unique_keys(pairs)
    keypoints = fields.get("keypoints")
    if "image_id" in fields and are_numbers(keypoints, 3 * landmarks):
        fields["keypoints"] = np.array(keypoints, np.float64)
    return fields


def _load(path: Path, landmarks: int, **options: Any) -> Any:
    try:
        # Numbers are checked where they are used; a check of each while parsing would take ten times as long.
        make = partial(_compact, landmarks=landmarks)
        return parse_json(path.read_bytes(), parse_float=float, make_object=make, **options)
    except FileNotFoundError:
        raise DeepmarkError(
            f"{path}: no such file. Give a COCO data set: images, categories and annotations."
        ) from None
    except OSError as error:
        raise DeepmarkError(f"{path}: cannot be read ({error.strerror}). Give a COCO data set.") from None
    except InvalidInputError as error:
        raise DeepmarkError(f"{path}: {error.reason}. Was it copied whole? Give a COCO data set.") from None


def _not_a_list(path: Path, name: str, found: Any) -> DeepmarkError:
    return DeepmarkError(
        f"{path}: not a COCO data set: '{name}' should be a list of objects, found {short_repr(found)}."
    )


def coco_sections(path: Path, vocabulary: Vocabulary) -> dict[str, list[Any]]:
    """The lists "images", "categories" and "annotations" of a COCO file, whose entries may be anything, NaN included.

    "keypoints" that are all of the flat list's are an array. Raises DeepmarkError where the file is missing, not JSON,
    or lacks one of the lists.
    """
    values = _load(path, vocabulary.landmarks, parse_constant=float)
    sections = {}
    for name in _SECTIONS:
        section = values.get(name) if isinstance(values, dict) else None
        if not isinstance(section, list):
            raise _not_a_list(path, name, section)
        sections[name] = section
    return sections


def _sections(path: Path, values: Any, vocabulary: Vocabulary) -> CocoDataset:
    if isinstance(values, list):
        raise DeepmarkError(f"{path}: not a COCO data set but a list, as results are. Give the data set first.")
    sections = {}
    for name in _SECTIONS:
        section = values.get(name) if isinstance(values, dict) else None
        if not isinstance(section, list) or not all(isinstance(each, dict) for each in section):
            raise _not_a_list(path, name, section)
        for number, each in enumerate(section):
            if name != "annotations" and not is_whole(each.get("id")):
                label = each.get("file_name" if name == "images" else "name")
                raise DeepmarkError(
                    f"{path}: {name}[{number}] ({short_repr(label)}): 'id' should be a whole number, 0 or more, "
                    f"found {short_repr(each.get('id'))}. {_REMEDY}"
                )
        sections[name] = section
    return CocoDataset(path=path, vocabulary=vocabulary, **sections)


def _check_annotation(dataset: CocoDataset, number: int, images: Collection[int], categories: Collection[int]) -> None:
    fields = dataset.annotations[number]
    for name, known, where in (("image_id", images, "images"), ("category_id", categories, "categories")):
        if not is_whole(fields.get(name)) or fields[name] not in known:
            dataset.fail(number, f"'{name}' is {short_repr(fields.get(name))}, which is not among the file's {where}")
    if not is_whole(fields.get("id")):
        dataset.fail(number, "'id' should be a whole number, 0 or more")
    if not are_numbers(fields.get("bbox"), 4):
        dataset.fail(
            number, f"'bbox' should be four numbers x, y, width, height, found {short_repr(fields.get('bbox'))}"
        )


def check_keypoints(dataset: CocoDataset, number: int) -> None:
    """Raise DeepmarkError unless the annotation's keypoints are those of the flat list, 294 * 3 in DeepFashion2."""
    if fault := _flat_fault(dataset.annotations[number].get("keypoints"), dataset.vocabulary):
        dataset.fail(number, fault)


def _flat_fault(keypoints: Any, vocabulary: Vocabulary) -> str:
    if isinstance(keypoints, np.ndarray):
        return ""
    found = f"{len(keypoints)} numbers" if isinstance(keypoints, list) else short_repr(keypoints)
    expected = f"{vocabulary.landmarks} * 3 = {vocabulary.landmarks * 3} numbers"
    return f"'keypoints' should be {expected}, x, y, v of all categories' landmarks; found {found}"


def find_keypoints(keypoints: Any, category: Category, vocabulary: Vocabulary) -> Float[np.ndarray, "k 3"] | str:
    """x, y, v of a category's landmarks in "keypoints" of the flat list or of the category alone; else what is wrong.

    Nothing is wrong where a category without landmarks has no keypoints; but landmarks of another category are.
    """
    if keypoints is None and not category.landmarks:
        return np.zeros((0, 3))
    if isinstance(keypoints, list) and are_numbers(keypoints, 3 * category.landmarks):
        return np.array(keypoints, np.float64).reshape(-1, 3)
    if fault := _flat_fault(keypoints, vocabulary):
        return fault
    rows: np.ndarray = keypoints.reshape(-1, 3)
    own = rows[category.span]
    return own if np.count_nonzero(rows[:, 2]) == np.count_nonzero(own[:, 2]) else OTHERS


def own_keypoints(dataset: CocoDataset, number: int, category: Category) -> Float[np.ndarray, "k 3"]:
    """`find_keypoints` of an annotation. Raises DeepmarkError where anything is wrong with them."""
    found = find_keypoints(dataset.annotations[number].get("keypoints"), category, dataset.vocabulary)
    if isinstance(found, str):
        dataset.fail(number, found, "Mend the file: an item has its category's alone." if found == OTHERS else _REMEDY)
    return found


def read_coco(path: Path, vocabulary: Vocabulary) -> CocoDataset:
    """The data set in a COCO file, with valid images, categories, and id, image, category and box of each annotation.

    `vocabulary` says how many keypoints its annotations may have.

    Raises DeepmarkError where the file is missing, not JSON, or not a COCO data set.
    """
    dataset = _sections(path, _load(path, vocabulary.landmarks), vocabulary)
    images, categories = dataset.image_ids, frozenset(dataset.category_ids)
    seen: set[int] = set()
    for number, fields in enumerate(dataset.annotations):
        _check_annotation(dataset, number, images, categories)
        if fields["id"] in seen:
            dataset.fail(number, "another annotation has the same id")
        seen.add(fields["id"])
    return dataset
