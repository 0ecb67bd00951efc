"""CVAT for images 1.1: an XML file of boxes and skeletons.

A skeleton has no box of its own: it gets the box of its label that holds most of its points, and else the one around
them. Points have the names of landmarks; `outside` is not labelled, `occluded` is occluded.

Source: CVAT's documentation, "CVAT for image".
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.importing.labelled import LabelledGarment, LabelledImage, UnusableError, category_named
from deepmark.labels.file_format import other_format
from deepmark.vocabulary import Category, Vocabulary

_KNOWN = {"box", "skeleton", "tag"}


def read_cvat(file: Path, images: Path, vocabulary: Vocabulary) -> Iterator[LabelledImage]:
    """The images of an annotations.xml. Raises DeepmarkError where it is none."""
    data, expected, remedy = file.read_bytes(), "CVAT for images", "Export as CVAT for images 1.1."
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise DeepmarkError(f"{file}: declares entities, which CVAT's files do not. {remedy}")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        wrong = DeepmarkError(f"{file}: is not XML ({error}). {remedy}")
        raise (other_format(file, expected) or wrong) from None
    if root.tag != "annotations":
        wrong = DeepmarkError(f"{file}: has <{root.tag}>, and CVAT for images has <annotations>. {remedy}")
        raise other_format(file, expected) or wrong
    if root.find("image") is None:
        raise other_format(file, expected) or DeepmarkError(f"{file}: names no image. {remedy}")
    for image in root.iter("image"):
        name = image.get("name", "")
        try:
            yield _labelled(image, name, images, vocabulary)
        except UnusableError as error:
            yield LabelledImage(name=name, file=images / name, fault=str(error))
        except (KeyError, ValueError) as error:
            fault = f"is not as CVAT writes it ({type(error).__name__}: {error})"
            yield LabelledImage(name=name, file=images / name, fault=fault)


def _labelled(image: Element, name: str, images: Path, vocabulary: Vocabulary) -> LabelledImage:
    boxes = [(category_named(one.get("label"), vocabulary), _box(one)) for one in image.iter("box")]
    garments = []
    for skeleton in image.iter("skeleton"):
        category = category_named(skeleton.get("label"), vocabulary)
        landmarks = _landmarks(skeleton, category)
        place = _box_of(landmarks, category, boxes)
        box = boxes.pop(place)[1] if place is not None else _around(landmarks)
        garments.append(LabelledGarment(category=category, box=box, landmarks=landmarks))
    for category, box in boxes:
        garments.append(LabelledGarment(category=category, box=box, landmarks=np.zeros((category.landmarks, 3))))
    others = sorted({one.tag for one in image} - _KNOWN)
    return LabelledImage(
        name=name,
        file=images / name,
        size=(int(image.attrib["height"]), int(image.attrib["width"])),
        garments=tuple(garments),
        notes=tuple(f"{tag} left out" for tag in others),
    )


def _box(element: Element) -> np.ndarray:
    if float(element.get("rotation", "0")):
        raise UnusableError("has a box that is turned")
    return np.array([float(element.attrib[side]) for side in ("xtl", "ytl", "xbr", "ybr")])


def _landmarks(skeleton: Element, category: Category) -> np.ndarray:
    landmarks = np.zeros((category.landmarks, 3))
    for point in skeleton.iter("points"):
        name = point.get("label")
        if name not in category.parts:
            raise UnusableError(f'has a point "{name}" on "{category.name}", which has no such landmark')
        if point.get("outside") != "1":
            x, y = (float(number) for number in point.attrib["points"].split(","))
            landmarks[category.parts.index(name)] = x, y, 1 if point.get("occluded") == "1" else 2
    return landmarks


def _box_of(landmarks: np.ndarray, category: Category, boxes: list[tuple[Category, np.ndarray]]) -> int | None:
    """The place of the box of this category that holds most of the points, and more than half of them."""
    points = landmarks[landmarks[:, 2] > 0, :2]
    held = [
        int(((points >= box[:2]) & (points <= box[2:])).all(axis=1).sum()) if of is category else 0 for of, box in boxes
    ]
    return int(np.argmax(held)) if held and 2 * max(held) > len(points) else None


def _around(landmarks: np.ndarray) -> np.ndarray:
    points = landmarks[landmarks[:, 2] > 0, :2]
    if len(points) < 2:
        raise UnusableError("has a skeleton without a box and with fewer than two points")
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
