"""Writes records and predictions to COCO files one by one, because a whole split would take gigabytes of memory.

The layout is that of the official converter, plus the fields that it drops: source of images; item, scale, occlusion,
zoom_in and viewpoint of annotations. Whole numbers are written without a fraction, all others with every digit.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.data.coco.convert import INFO, coco_categories, coco_results, coco_truth
from deepmark.errors import DeepmarkError
from deepmark.files import new_file
from deepmark.schema import Kind
from deepmark.types import Garment, ImageRecord, Prediction
from deepmark.vocabulary import Vocabulary


def _numbers(values: np.ndarray) -> list[float]:
    return [int(value) if value.is_integer() else value for value in values.ravel().tolist()]


def _text(fields: dict[str, Any]) -> str:
    """The object as JSON; only the landmarks of its category are formatted, the other zeros are constant text."""
    flat = fields["keypoints"]
    category = flat.vocabulary.categories[flat.category]
    own = json.dumps(_numbers(np.asarray(flat).reshape(-1, 3)[category.span]))[1:-1]
    before, after = _zeros(3 * category.start), _zeros(3 * (flat.vocabulary.landmarks - category.span.stop))
    plain = {name: value for name, value in fields.items() if name != "keypoints"}
    return f'{json.dumps(plain)[:-1]}, "keypoints": [{", ".join(filter(None, (before, own, after)))}]}}'


def _zeros(count: int) -> str:
    return ("0, " * count)[:-2]


def _annotation(fields: dict[str, Any], garment: Garment, number: int) -> dict[str, Any]:
    box = {"bbox": _numbers(np.array(fields["bbox"])), "area": _numbers(np.array(fields["area"]))[0]}
    polygons = [_numbers(polygon) for polygon in garment.polygons]
    return fields | box | {"id": number, "item": garment.item, "segmentation": polygons}


def write_coco(
    path: Path,
    records: Iterable[ImageRecord],
    vocabulary: Vocabulary,
    *,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Write records as a COCO data set, whole or not at all; returns the numbers of images and items."""
    images: list[dict[str, Any]] = []
    items = 0
    with new_file(path) as draft, draft.open("w", encoding="utf-8") as out:
        out.write(f'{{"info": {json.dumps(INFO)},\n"licenses": [],\n"annotations": [')
        for record in records:
            part = coco_truth([record], vocabulary)
            images += part["images"]
            for fields, garment in zip(part["annotations"], record.garments, strict=True):
                items += 1
                out.write(",\n" if items > 1 else "\n")
                out.write(_text(_annotation(fields, garment, items)))
            progress(1)
        out.write(f'\n],\n"categories": {json.dumps(coco_categories(vocabulary))},\n"images": {json.dumps(images)}}}\n')
    return {"file": str(path), "pictures": len(images), "items": items}


def write_coco_results(
    path: Path,
    predictions: Iterable[Prediction],
    *,
    kind: Kind | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Write detections as COCO results with boxes, landmarks and unrounded scores, whole or not at all.

    Raises DeepmarkError where the landmarks have scores of their own, and `kind` does not say which scores are meant.
    """
    images = results = 0
    with new_file(path) as draft, draft.open("w", encoding="utf-8") as out:
        out.write("[")
        for prediction in predictions:
            if kind is None and prediction.detections.pose_scores is not None:
                raise DeepmarkError(
                    f"{path}: a COCO result has one score, and these predictions two, one of the box and one of the "
                    "landmarks (predict.rescore). Give --kind bbox or --kind keypoints, for a file of each."
                )
            for fields in coco_results([prediction], kind=kind or Kind.BBOX):
                results += 1
                out.write(",\n" if results > 1 else "\n")
                names = ("image_id", "category_id", "bbox", "score", "keypoints")
                out.write(_text({name: fields[name] for name in names}))
            images += 1
            progress(1)
        out.write("\n]\n")
    return {"file": str(path), "pictures": images, "results": results}
