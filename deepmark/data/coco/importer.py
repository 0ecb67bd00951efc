"""Converts a COCO data set and its images to DeepFashion2's folders, which `deepmark ingest` then reads.

Only the layout is converted; ingest validates boxes, polygons and images. Files of the official converter lack the
subset fields. Each missing field gets one value for all items, so a table by subset has one row that equals the total
and otherwise empty rows, and never shows a difference that does not exist.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.data.coco.dataset import CocoDataset, check_keypoints, read_coco
from deepmark.data.coco.import_images import SourceImage, bytes_to_copy, image_files, place_images
from deepmark.data.ingest.annotation import ITEM_NAME
from deepmark.data.ingest.strict_json import short_repr
from deepmark.errors import DeepmarkError
from deepmark.files import new_folder, require_space
from deepmark.schema import CATEGORIES, Frame

CHUNK = 64
"""Images per task of a worker."""

MOST_NUMBER = 999_999_999
"""The largest number that ingest takes in the name of a file."""

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


def _annotation(
    dataset: CocoDataset, image: dict[str, Any], number: int, places: list[int], stood_in: Counter[str]
) -> dict[str, Any]:
    """The content of the annotation file of one image."""
    annotations = [dataset.annotations[place] for place in places]
    pairs = {json.dumps(fields["pair_id"]): fields["pair_id"] for fields in annotations if "pair_id" in fields}
    if len(pairs) > 1:
        dataset.fail(places[-1], f"its image {image['id']} has several pair_id", "An image belongs to one pair.")
    names = [fields.get("item") for fields in annotations]
    if len(set(map(str, names))) < len(names) or not all(ITEM_NAME.fullmatch(str(name)) for name in names):
        names = [f"item{number}" for number in range(1, len(places) + 1)]
    stood_in["source"] += "source" not in image
    stood_in["pair_id"] += not pairs
    items = [_item(dataset, place, stood_in) for place in places]
    return {
        "source": image.get("source", STANDINS["source"]),
        "pair_id": next(iter(pairs.values()), number),
        **dict(zip(map(str, names), items, strict=True)),
    }


def _write_names(path: Path, numbers: dict[int, int], names: dict[int, str]) -> None:
    """Write which id and file of the COCO file each number comes from."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("number", "id", "file_name"))
        rows.writerows((number, image, names[image]) for image, number in numbers.items())


def import_coco(
    file: Path,
    images: Path,
    out: Path,
    *,
    frame: Frame | None = None,
    engine: Engine | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Write folders image/ and annos/ in `out` from a COCO file and its images, whole or not at all.

    Each image is compared with what the file says of it. What is no plain JPEG is written as one of quality 95, and
    "changed" counts such images by reason. The number of an image is its id, or 1, 2, 3 … for all if an id has more
    than nine digits; images.csv says which id and file each comes from. `frame` is what labels refer to where EXIF data
    turns an image and its size does not tell.

    Returns counts: pictures_in_file = pictures + pictures_without_items. "stood_in" holds, for each missing field, how
    many items (for source and pair_id, images) lacked it. A missing pair_id becomes the number of the image, so the
    image is a pair of its own. Images without items are left out, because DeepFashion2 has none.

    Raises DeepmarkError where the file is not a COCO data set of DeepFashion2's layout, images are missing or are not
    those of the file, or `out` is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DeepmarkError(f"{out}: there is something already. Give a new folder.")
    dataset = read_coco(file)
    _check_categories(dataset)
    files = image_files(dataset, images)
    require_space(out, bytes_to_copy(files, out))
    places: dict[int, list[int]] = {image["id"]: [] for image in dataset.images}
    for place, fields in enumerate(dataset.annotations):
        places[fields["image_id"]].append(place)
    anew = max(places, default=0) > MOST_NUMBER
    numbers = {image: number if anew else image for number, image in enumerate(places, 1)}
    sources = [
        SourceImage(path=path, number=numbers[image["id"]], size=(image["height"], image["width"]))
        for image, path in zip(dataset.images, files, strict=True)
        if places[image["id"]]
    ]
    chunks = [sources[start : start + CHUNK] for start in range(0, len(sources), CHUNK)]
    stood_in: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    with new_folder(out) as draft:
        (draft / "image").mkdir()
        (draft / "annos").mkdir()
        for image in dataset.images:
            if places[image["id"]]:
                number = numbers[image["id"]]
                annotation = _annotation(dataset, image, number, places[image["id"]], stood_in)
                (draft / f"annos/{number:06d}.json").write_text(json.dumps(annotation), "utf-8")
        put = partial(place_images, folder=draft / "image", truth=file, frame=frame)
        with closing((engine or Local()).map_in_order(put, chunks)) as placed:
            for reasons in placed:
                changed.update(reasons)
                progress(len(reasons))
        written = {image: number for image, number in numbers.items() if places[image]}
        _write_names(draft / "images.csv", written, {image["id"]: image["file_name"] for image in dataset.images})
    return {
        "folder": str(out),
        "pictures_in_file": len(files),
        "pictures": len(written),
        "pictures_without_items": len(files) - len(written),
        "items": len(dataset.annotations),
        "changed": {reason: count for reason, count in sorted(changed.items()) if reason},
        "numbered_anew": len(written) if anew else 0,
        "stood_in": {name: count for name, count in stood_in.items() if count},
    }
