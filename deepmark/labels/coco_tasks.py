"""Tasks and answers as a COCO file with the keypoints of each category: what CVAT calls COCO Keypoints 1.0.

A file of COCO says nothing of what a label was before, nor who decided: an annotation is that of an item where it says
so ("item"), or where it overlaps its box most; the item before is the one of today's annotation file.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.data.coco.dataset import CocoDataset, read_coco
from deepmark.data.coco.landmark_order import LandmarkOrder, landmark_order
from deepmark.errors import DeepmarkError
from deepmark.files import write_text
from deepmark.geometry import box_iou
from deepmark.labels.match import matched
from deepmark.labels.task import Answer, LabelTask, Region
from deepmark.vocabulary import Vocabulary

_FILE = re.compile(r"(?:^|/)(train|validation)/image/(\d+)\.jpg$")

Items = Callable[[str, int], tuple[str, Mapping[str, tuple[str, Sequence[float]]]]]
"""By split and image: the sha256 of its file, and each item's text and box today."""


def write_tasks(folder: Path, tasks: Sequence[LabelTask], vocabulary: Vocabulary) -> None:
    """Write annotations.json: the labels of today, which people change in their tool; of a new image the detections."""
    categories = [
        {
            "id": category.index + 1,
            "name": category.name,
            "supercategory": "",
            "keypoints": list(category.parts),
            "skeleton": [[a + 1, b + 1] for a, b in category.strokes],
        }
        for category in vocabulary.categories
    ]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, task in enumerate(tasks, 1):
        size = {"width": task.width, "height": task.height}
        images.append({"id": number, "file_name": task.file, **size, "reasons": " ".join(task.reasons)})
        regions = task.detections if task.split is None else task.labels
        annotations += [
            _annotation(region, number, len(annotations) + place) for place, region in enumerate(regions, 1)
        ]
    content = {"info": {}, "licenses": [], "categories": categories, "images": images, "annotations": annotations}
    write_text(folder / "annotations.json", json.dumps(content, indent=1) + "\n")


def _annotation(region: Region, image: int, number: int) -> dict[str, Any]:
    x0, y0, x1, y1 = region.box.tolist()
    return {
        "id": number,
        "image_id": image,
        "category_id": region.category.index + 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": 0,
        "segmentation": [],
        "num_keypoints": int((region.landmarks[:, 2] > 0).sum()),
        "keypoints": region.landmarks.ravel().tolist(),
        "item": region.name,
    }


def read_answers(path: Path, vocabulary: Vocabulary, items: Items, *, source: str) -> Iterator[Answer]:
    """An answer for each image of the file.

    Raises DeepmarkError where it is no COCO file, where the names of images or categories are not those of the tasks.
    """
    dataset = read_coco(path, vocabulary)
    orders = {entry["id"]: _order(entry, path, vocabulary) for entry in dataset.categories}
    at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    places: dict[int, list[int]] = {image["id"]: [] for image in dataset.images}
    for place, fields in enumerate(dataset.annotations):
        places[fields["image_id"]].append(place)
    for image in dataset.images:
        found = _FILE.search(str(image.get("file_name")))
        if found is None:
            raise DeepmarkError(
                f"{path}: image {image['id']} is {image.get('file_name')!r}, and tasks have names such as "
                "train/image/000001.jpg. Keep the folders' names where images are uploaded."
            )
        split, number = found[1], int(found[2])
        sha256, known = items(split, number)
        regions = [_region(dataset, place, orders) for place in places[image["id"]]]
        yield Answer(
            split=split,
            image_id=number,
            sha256=sha256,
            items={name: text for name, (text, _) in known.items()},
            regions=tuple(_named(regions, known)),
            by="",
            at=at,
            source=source,
            reason=str(image.get("reasons", "")),
        )


def _order(entry: Mapping[str, Any], path: Path, vocabulary: Vocabulary) -> LandmarkOrder:
    name = str(entry.get("name"))
    if name not in vocabulary.by_name:
        raise DeepmarkError(f'{path}: category {entry["id"]} is "{name}", which {vocabulary.name} has not.')
    order = landmark_order(entry.get("keypoints"), vocabulary.by_name[name], vocabulary)
    if isinstance(order, str):
        raise DeepmarkError(f"{path}: {order}. Give the points of the skeleton the names of the vocabulary.")
    return order


def _region(dataset: CocoDataset, place: int, orders: Mapping[int, LandmarkOrder]) -> Region:
    fields = dataset.annotations[place]
    order = orders[fields["category_id"]]
    landmarks = order.landmarks(fields.get("keypoints"))
    if isinstance(landmarks, str):
        dataset.fail(place, landmarks, "Export the task as COCO Keypoints 1.0 again.")
    x, y, width, height = fields["bbox"]
    attributes = fields.get("attributes")
    item = fields.get("item") or (attributes.get("item") if isinstance(attributes, dict) else None)
    return Region(
        name=str(item or ""),
        category=order.category,
        box=np.array([x, y, x + width, y + height], np.float64),
        landmarks=landmarks,
    )


def _named(regions: Sequence[Region], items: Mapping[str, tuple[str, Sequence[float]]]) -> Iterator[Region]:
    """The regions under the keys of their items: those that say one, then those that overlap one most."""
    said = {region.name for region in regions} & items.keys()
    open_items = [name for name in items if name not in said]
    nameless = [region for region in regions if region.name not in said]
    yield from (region for region in regions if region.name in said)
    boxes = np.array([items[name][1] for name in open_items], np.float64).reshape(-1, 4)
    pairs = matched(box_iou(np.array([region.box for region in nameless], np.float64).reshape(-1, 4), boxes))
    for number, region in enumerate(nameless):
        yield replace(region, name=open_items[pairs[number]] if number in pairs else f"new{number + 1}")
