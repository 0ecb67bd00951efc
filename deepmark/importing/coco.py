"""COCO data sets of a team's own: any ids, keypoints of the category alone or of all, masks left out with a word."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.data.coco.dataset import own_keypoints, read_coco
from deepmark.errors import DeepmarkError
from deepmark.importing.labelled import LabelledGarment, LabelledImage, UnusableError, category_named
from deepmark.vocabulary import Vocabulary


def read_own_coco(file: Path, images: Path, vocabulary: Vocabulary) -> Iterator[LabelledImage]:
    """The images of a COCO file, whose categories are told by their names.

    Raises DeepmarkError where it is no COCO file.
    """
    dataset = read_coco(file, vocabulary)
    names = {entry["id"]: entry.get("name") for entry in dataset.categories}
    places: dict[int, list[int]] = {image["id"]: [] for image in dataset.images}
    for place, fields in enumerate(dataset.annotations):
        places[fields["image_id"]].append(place)
    for image in dataset.images:
        name = str(image.get("file_name") or f"id {image['id']}")
        notes: list[str] = []
        garments = []
        fault = ""
        for place in places[image["id"]]:
            fields = dataset.annotations[place]
            try:
                if fields.get("iscrowd"):
                    raise UnusableError("has a crowd, which is no garment")
                attributes = fields.get("attributes")
                if isinstance(attributes, dict) and attributes.get("rotation"):
                    raise UnusableError("has a box that is turned")
                category = category_named(names[fields["category_id"]], vocabulary)
                x, y, width, height = fields["bbox"]
                landmarks = own_keypoints(dataset, place, category)
                if not np.isin(landmarks[:, 2], (0, 1, 2)).all():
                    raise UnusableError("has a landmark whose visibility is not 0, 1 or 2")
            except UnusableError as error:
                fault = str(error)
                break
            except DeepmarkError as error:
                fault = str(error).partition(": ")[2]
                break
            notes += ["mask left out"] * isinstance(fields.get("segmentation"), dict)
            notes += ["polygon left out"] * (
                isinstance(fields.get("segmentation"), list) and bool(fields["segmentation"])
            )
            landmarks = np.where(landmarks[:, 2:] > 0, landmarks, 0.0)
            box = np.array([x, y, x + width, y + height], np.float64)
            garments.append(LabelledGarment(category=category, box=box, landmarks=landmarks))
        yield LabelledImage(
            name=name, file=images / name, size=_size(image), garments=tuple(garments), fault=fault, notes=tuple(notes)
        )


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0 else None
