"""Converts a COCO data set and its images to DeepFashion2's folders, which `deepmark ingest` then reads.

Categories are told by their names, whatever their ids; their landmarks are those of the vocabulary.

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

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.data.coco.dataset import CocoDataset, own_keypoints, read_coco
from deepmark.data.coco.import_images import SourceImage, bytes_to_copy, image_files, place_images
from deepmark.data.ingest.annotation import ITEM_NAME
from deepmark.data.ingest.ingest import write_raw_vocabulary
from deepmark.data.ingest.strict_json import short_repr
from deepmark.errors import DeepmarkError, nearest
from deepmark.files import new_folder, require_space
from deepmark.schema import Frame
from deepmark.vocabulary import Category, Vocabulary

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


def _categories(dataset: CocoDataset) -> dict[int, Category]:
    """The category of the vocabulary for each id of the file."""
    own = {category.coco_name: category for category in dataset.vocabulary.categories} | dataset.vocabulary.by_name
    found: dict[int, Category] = {}
    for fields in dataset.categories:
        number, name = fields["id"], fields.get("name")
        if not isinstance(name, str) or name not in own:
            raise DeepmarkError(
                f"{dataset.path}: category {number} is {short_repr(name)}, which is not in the vocabulary "
                f"{dataset.vocabulary.name}. {nearest(str(name), own)}"
            )
        if found.get(number, own[name]) != own[name]:
            raise DeepmarkError(
                f"{dataset.path}: category {number} has two names. Give each category an id of its own."
            )
        found[number] = own[name]
        _check_names(dataset, own[name], fields.get("keypoints"))
    return found


def _check_names(dataset: CocoDataset, category: Category, names: Any) -> None:
    """Refuse names of a category's own landmarks that are others than the vocabulary's, or in another order."""
    if isinstance(names, list) and len(names) == category.landmarks != dataset.vocabulary.landmarks:
        for number, (name, part) in enumerate(zip(names, category.parts, strict=True), 1):
            if name != part:
                raise DeepmarkError(
                    f"{dataset.path}: category '{category.name}': keypoint {number} is {short_repr(name)}, and in the "
                    f"vocabulary '{part}'. Give vocabulary.yaml the names and the order of the file."
                )


def _item(dataset: CocoDataset, place: int, category: Category, stood_in: Counter[str]) -> dict[str, Any]:
    fields = dataset.annotations[place]
    own = own_keypoints(dataset, place, category)
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
    dataset: CocoDataset,
    image: dict[str, Any],
    number: int,
    places: list[int],
    categories: dict[int, Category],
    stood_in: Counter[str],
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
    kinds = [categories[fields["category_id"]] for fields in annotations]
    items = [_item(dataset, place, kind, stood_in) for place, kind in zip(places, kinds, strict=True)]
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
    vocabulary: Vocabulary,
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

    Raises DeepmarkError where the file is not a COCO data set of this vocabulary, images are missing or are not those
    of the file, or `out` is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DeepmarkError(f"{out}: there is something already. Give a new folder.")
    dataset = read_coco(file, vocabulary)
    categories = _categories(dataset)
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
        write_raw_vocabulary(draft, vocabulary)
        for image in dataset.images:
            if places[image["id"]]:
                number = numbers[image["id"]]
                annotation = _annotation(dataset, image, number, places[image["id"]], categories, stood_in)
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
