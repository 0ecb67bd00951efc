"""YOLO pose data sets: data.yaml, and a text file of labels beside each image.

A line is an object: class, the middle and the size of its box, then K landmarks as x, y and perhaps v, all in shares of
the image. K is one number for all classes: a category's own landmarks are the first of them.

Source: Ultralytics, "Pose estimation datasets".
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.images import open_image
from deepmark.importing.labelled import LabelledGarment, LabelledImage, UnusableError, category_named
from deepmark.labels.file_format import other_format
from deepmark.vocabulary import Category, Vocabulary
from deepmark.workspace.yaml_lines import load_yaml

_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_IMAGES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def read_yolo(file: Path, vocabulary: Vocabulary) -> Iterator[LabelledImage]:
    """The images of the splits that a data.yaml names; one with `train` alone has no splits.

    Raises DeepmarkError where it is none, or has fewer landmarks than a category of the vocabulary.
    """
    expected, remedy = "data.yaml of a YOLO data set", "Name the data.yaml beside its images and labels."
    values = load_yaml(file.read_text("utf-8", errors="replace"))
    if not isinstance(values, dict) or not isinstance(values.get("names"), dict | list):
        fault = DeepmarkError(f"{file}: is no {expected}: it has no `names`. {remedy}")
        raise other_format(file, expected) or fault
    names = values["names"]
    classes = dict(enumerate(names)) if isinstance(names, list) else names
    if wrong := [key for key in classes if type(key) is not int]:
        raise DeepmarkError(f"{file}: names: {wrong[0]!r} is no number of a class.")
    count, numbers = _shape(file, values.get("kpt_shape", [0, 3]))
    for name in classes.values():
        category = vocabulary.by_name.get(str(name))
        if category is not None and category.landmarks > count:
            raise DeepmarkError(
                f'{file}: kpt_shape has {count} landmarks, and "{name}" has {category.landmarks} in {vocabulary.name}.'
            )
    root = (file.parent / str(values.get("path") or ".")).resolve()
    entries = {split: _entries(values.get(key)) for key, split in _SPLITS.items()}
    if not entries["train"] or (entries["test"] and not entries["validation"]):
        key = "train" if not entries["train"] else "val"
        raise DeepmarkError(
            f"{file}: has no `{key}:`. Name its folder of images there; with `train:` alone, images are divided by "
            "--validation, --test and --group-by."
        )
    for split, places in entries.items():
        for entry in places:
            for image in _images(root / entry, file):
                own = split if entries["validation"] else None
                yield _labelled(image, root, own, classes, count, numbers, vocabulary)


def _shape(file: Path, shape: Any) -> tuple[int, int]:
    if not (
        isinstance(shape, list) and len(shape) == 2 and all(type(one) is int for one in shape) and shape[1] in (2, 3)
    ):
        raise DeepmarkError(f"{file}: kpt_shape should be [number of landmarks, 2 or 3], found {shape!r}.")
    return shape[0], shape[1]


def _entries(value: Any) -> list[str]:
    return [] if value is None else [str(one) for one in (value if isinstance(value, list) else [value])]


def _images(place: Path, file: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from sorted(path for path in place.rglob("*") if path.suffix.lower() in _IMAGES)
    elif place.is_file():
        for line in place.read_text("utf-8").splitlines():
            if line.strip():
                yield (place.parent / line.strip()).resolve()
    else:
        raise DeepmarkError(f"{place}: no such folder or list of images, and {file} names it.")


def _label_file(image: Path) -> Path:
    """As Ultralytics finds it: the last folder "images" of the path is "labels"."""
    parts = list(image.parts)
    if "images" in parts:
        place = len(parts) - 1 - parts[::-1].index("images")
        parts[place] = "labels"
    return Path(*parts).with_suffix(".txt")


def _labelled(
    image: Path,
    root: Path,
    split: str | None,
    classes: dict[int, Any],
    count: int,
    numbers: int,
    vocabulary: Vocabulary,
) -> LabelledImage:
    name = str(image.relative_to(root)) if image.is_relative_to(root) else str(image)
    try:
        size = open_image(image).size
        file = _label_file(image)
        lines = file.read_text("utf-8").split("\n") if file.is_file() else []
        garments = tuple(
            _garment(line, number, size, classes, count, numbers, vocabulary)
            for number, line in enumerate(lines, 1)
            if line.strip()
        )
    except UnusableError as error:
        return LabelledImage(name=name, file=image, split=split, fault=str(error))
    except (DeepmarkError, OSError, UnicodeDecodeError) as error:
        return LabelledImage(name=name, file=image, split=split, fault=f"cannot be read: {error}")
    return LabelledImage(name=name, file=image, size=size, garments=garments, split=split)


def _garment(
    line: str,
    place: int,
    size: tuple[int, int],
    classes: dict[int, Any],
    count: int,
    numbers: int,
    vocabulary: Vocabulary,
) -> LabelledGarment:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        raise UnusableError(f"line {place} of its labels has words that are no numbers") from None
    if len(values) not in (5, 5 + count * numbers) or not all(map(math.isfinite, values)):
        raise UnusableError(f"line {place} of its labels has {len(values)} numbers, not {5 + count * numbers}")
    if values[0] not in classes:
        raise UnusableError(f"line {place} of its labels is of class {values[0]:g}, which data.yaml does not name")
    category = category_named(classes[int(values[0])], vocabulary)
    scale = np.array(size[::-1], np.float64)
    middle, half = np.array(values[1:3]) * scale, np.array(values[3:5]) * scale / 2
    return LabelledGarment(
        category=category,
        box=np.concatenate([middle - half, middle + half]),
        landmarks=_landmarks(values[5:], numbers, scale, category),
    )


def _landmarks(values: list[float], numbers: int, scale: np.ndarray, category: Category) -> np.ndarray:
    landmarks = np.zeros((category.landmarks, 3))
    if values:
        rows = np.array(values).reshape(-1, numbers)[: category.landmarks]
        landmarks[:, :2] = rows[:, :2] * scale
        landmarks[:, 2] = rows[:, 2] if numbers == 3 else np.where(rows[:, :2].any(axis=1), 2, 0)
        if not np.isin(landmarks[:, 2], (0, 1, 2)).all():
            raise UnusableError("has a landmark whose visibility is not 0, 1 or 2")
        landmarks[landmarks[:, 2] == 0] = 0
    return landmarks
