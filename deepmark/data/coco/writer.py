"""Records and predictions as COCO files, written as they are read: a split's results as one JSON would be gigabytes.

The layout is the official converter's, with the fields it drops: source on pictures; item, scale, occlusion, zoom_in
and viewpoint on annotations. Whole numbers are written without a fraction, everything else with every digit.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.data.coco.export import coco_results, coco_truth
from deepmark.files import new_file
from deepmark.schema import CATEGORIES, LANDMARKS
from deepmark.types import Garment, ImageRecord, Prediction


def _numbers(values: np.ndarray) -> list[float]:
    return [int(value) if value.is_integer() else value for value in values.ravel().tolist()]


def _text(fields: dict[str, Any]) -> str:
    """The object as JSON; of its 294 landmarks only the category's own go through Python one by one."""
    category = CATEGORIES[fields["category_id"] - 1]
    own = json.dumps(_numbers(np.asarray(fields["keypoints"]).reshape(-1, 3)[category.span]))[1:-1]
    before, after = "0, " * (3 * category.start), ", 0" * (3 * (LANDMARKS - category.span.stop))
    plain = {name: value for name, value in fields.items() if name != "keypoints"}
    return f'{json.dumps(plain)[:-1]}, "keypoints": [{before}{own}{after}]}}'


def _annotation(fields: dict[str, Any], garment: Garment, number: int) -> dict[str, Any]:
    box = {"bbox": _numbers(np.array(fields["bbox"])), "area": _numbers(np.array(fields["area"]))[0]}
    polygons = [_numbers(polygon) for polygon in garment.polygons]
    return fields | box | {"id": number, "item": garment.item, "segmentation": polygons}


def write_coco(
    path: Path, records: Iterable[ImageRecord], *, progress: Callable[[int], None] = lambda count: None
) -> dict[str, Any]:
    """The records as a COCO data set, whole or not at all; says how many pictures and items there are."""
    images: list[dict[str, Any]] = []
    items = 0
    categories = coco_truth([])["categories"]
    with new_file(path) as draft, draft.open("w", encoding="utf-8") as out:
        out.write('{"annotations": [')
        for record in records:
            part = coco_truth([record])
            images += part["images"]
            for fields, garment in zip(part["annotations"], record.garments, strict=True):
                items += 1
                out.write(",\n" if items > 1 else "\n")
                out.write(_text(_annotation(fields, garment, items)))
            progress(1)
        out.write(f'\n],\n"categories": {json.dumps(categories)},\n"images": {json.dumps(images)}}}\n')
    return {"file": str(path), "pictures": len(images), "items": items}


def write_coco_results(
    path: Path, predictions: Iterable[Prediction], *, progress: Callable[[int], None] = lambda count: None
) -> dict[str, Any]:
    """Detections as COCO results, whole or not at all: boxes beside landmarks, scores as they are."""
    pictures = results = 0
    with new_file(path) as draft, draft.open("w", encoding="utf-8") as out:
        out.write("[")
        for prediction in predictions:
            for fields in coco_results([prediction]):
                results += 1
                out.write(",\n" if results > 1 else "\n")
                names = ("image_id", "category_id", "bbox", "score", "keypoints")
                out.write(_text({name: fields[name] for name in names}))
            pictures += 1
            progress(1)
        out.write("\n]\n")
    return {"file": str(path), "pictures": pictures, "results": results}
