"""Converts a COCO data set and its images to DeepFashion2's folders, which `deepmark ingest` then reads.

Only the layout is converted; ingest validates boxes, polygons and images. Files of the official converter lack the
subset fields. Each missing field gets one value for all items, so a table by subset has one row that equals the total
and otherwise empty rows, and never shows a difference that does not exist.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.data.coco.dataset import CocoDataset, check_keypoints, read_coco
from deepmark.data.ingest.annotation import ITEM_NAME
from deepmark.data.ingest.strict_json import short_repr
from deepmark.errors import DeepmarkError
from deepmark.files import new_folder
from deepmark.schema import CATEGORIES

STANDINS: dict[str, Any] = {"source": "shop", "style": 0, "scale": 2, "occlusion": 1, "zoom_in": 1, "viewpoint": 2}
"""Values for missing fields: no counterpart, moderate scale, slight occlusion, no zoom-in, frontal."""


def far_corner(near: float, length: float) -> float:
    """The shortest decimal at exactly this distance: the original x2, from which width = x2 - x1 was computed."""
    for digits in range(17):
        corner = round(near + length, digits)
        if corner - near == length:
            return corner
    return near + length


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _check_categories(dataset: CocoDataset) -> None:
    for fields in dataset.categories:
        number, name = fields["id"], fields.get("name")
        if not 1 <= number <= len(CATEGORIES) or name not in (
            CATEGORIES[number - 1].name,
            CATEGORIES[number - 1].coco_name,
        ):
            raise DeepmarkError(
                f"{dataset.path}: category {number} is {short_repr(name)}. Only DeepFashion2's 13 categories can "
                f"become its files: 1 is '{CATEGORIES[0].coco_name}', 13 is '{CATEGORIES[12].coco_name}'."
            )


def _item(dataset: CocoDataset, place: int, stood_in: Counter[str]) -> dict[str, Any]:
    fields = dataset.annotations[place]
    check_keypoints(dataset, place)
    category = CATEGORIES[fields["category_id"] - 1]
    keypoints = fields["keypoints"].reshape(-1, 3)
    own = keypoints[category.span]
    if np.count_nonzero(keypoints[:, 2]) != np.count_nonzero(own[:, 2]):
        dataset.fail(place, "labels landmarks of another category", "Mend the file: an item has its category's alone.")
    if fields.get("iscrowd"):
        dataset.fail(place, "is a crowd", "DeepFashion2's files have no crowds: leave it out.")
    polygons = fields.get("segmentation", [])
    if not isinstance(polygons, list):
        dataset.fail(place, "'segmentation' is a mask", "DeepFashion2's files have polygons: leave the field out.")
    x, y, width, height = fields["bbox"]
    item = {
        "category_id": category.index + 1,
        "category_name": category.name,
        "bounding_box": [x, y, far_corner(x, width), far_corner(y, height)],
        "landmarks": [_plain(value) for value in own.ravel().tolist()],
        "segmentation": polygons,
    }
    for name in ("style", "scale", "occlusion", "zoom_in", "viewpoint"):
        stood_in[name] += name not in fields
        item[name] = fields.get(name, STANDINS[name])
    return item


def _annotation(dataset: CocoDataset, image: dict[str, Any], places: list[int], stood_in: Counter[str]) -> dict:
    """The content of the annotation file of one image."""
    annotations = [dataset.annotations[place] for place in places]
    pairs = {json.dumps(fields["pair_id"]): fields["pair_id"] for fields in annotations if "pair_id" in fields}
    if len(pairs) > 1:
        dataset.fail(places[-1], f"its picture {image['id']} has several pair_id", "A picture belongs to one pair.")
    names = [fields.get("item") for fields in annotations]
    if len(set(map(str, names))) < len(names) or not all(ITEM_NAME.fullmatch(str(name)) for name in names):
        names = [f"item{number}" for number in range(1, len(places) + 1)]
    stood_in["source"] += "source" not in image
    stood_in["pair_id"] += not pairs
    items = [_item(dataset, place, stood_in) for place in places]
    return {
        "source": image.get("source", STANDINS["source"]),
        "pair_id": next(iter(pairs.values()), image["id"]),
        **dict(zip(map(str, names), items, strict=True)),
    }


def _image_paths(dataset: CocoDataset, folder: Path) -> dict[int, Path]:
    """The file of each image by id.

    Raises DeepmarkError if a file is missing or an id appears twice.
    """
    paths: dict[int, Path] = {}
    for number, image in enumerate(dataset.images):
        if not isinstance(image.get("file_name"), str) or image["id"] in paths:
            raise DeepmarkError(
                f"{dataset.path}: images[{number}] (id {image['id']}): has no 'file_name', or an id that is there "
                "twice. Every picture needs a name and a number of its own."
            )
        paths[image["id"]] = folder / image["file_name"]
    missing = [path for path in paths.values() if not path.is_file()]
    if missing:
        raise DeepmarkError(
            f"{missing[0]}: no such picture; {len(missing)} of the {len(paths)} that {dataset.path} names are missing. "
            "Give their folder with --images."
        )
    return paths


def _link_or_copy(image: Path, target: Path) -> None:
    """Give the image its new name, without a second copy if the file system supports links."""
    try:
        os.link(image.resolve(), target)
    except OSError:
        shutil.copyfile(image, target)


def import_coco(
    file: Path, images: Path, out: Path, *, progress: Callable[[int], None] = lambda count: None
) -> dict[str, Any]:
    """Write folders image/ and annos/ in `out` from a COCO file and its images, whole or not at all.

    Returns counts; "stood_in" holds, for each missing field, how many items (for source and pair_id, images) lacked it.
    A missing pair_id becomes the id of the image, so the image is a pair of its own. Images without items are left out,
    because DeepFashion2 has none.

    Raises DeepmarkError where the file is not a COCO data set of DeepFashion2's layout, images are missing, or `out`
    is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DeepmarkError(f"{out}: there is something already. Give a new folder.")
    dataset = read_coco(file)
    _check_categories(dataset)
    paths = _image_paths(dataset, images)
    places: dict[int, list[int]] = {image["id"]: [] for image in dataset.images}
    for place, fields in enumerate(dataset.annotations):
        places[fields["image_id"]].append(place)
    stood_in: Counter[str] = Counter()
    with new_folder(out) as draft:
        (draft / "image").mkdir()
        (draft / "annos").mkdir()
        for image in dataset.images:
            if places[image["id"]]:
                annotation = _annotation(dataset, image, places[image["id"]], stood_in)
                name = f"{image['id']:06d}"
                (draft / f"annos/{name}.json").write_text(json.dumps(annotation), "utf-8")
                _link_or_copy(paths[image["id"]], draft / f"image/{name}.jpg")
            progress(1)
    return {
        "folder": str(out),
        "pictures": sum(map(bool, places.values())),
        "items": len(dataset.annotations),
        "pictures_without_items": sum(not each for each in places.values()),
        "stood_in": {name: count for name, count in stood_in.items() if count},
    }
