"""What people made of an image's labels, as corrections: what stayed as it was is not touched, to the last digit."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from deepmark.data.coco.importer import STANDINS
from deepmark.data.corrections import Action, Correction, Decision, item_text
from deepmark.data.ingest.annotation import ITEM_NAME
from deepmark.labels.task import Answer, Region
from deepmark.schema import SUBSETS
from deepmark.shapes import Float64
from deepmark.vocabulary import Vocabulary

SAME = 0.05
"""Pixels by which a point may differ and is still the same: tools keep shares of the image, and round them."""


def region_of(name: str, item: dict[str, Any], vocabulary: Vocabulary) -> Region:
    """An item of an annotation file that was validated."""
    return Region(
        name=name,
        category=vocabulary.categories[item["category_id"] - 1],
        box=np.array(item["bounding_box"], np.float64),
        landmarks=np.array(item["landmarks"], np.float64).reshape(-1, 3),
    )


def item_of(region: Region, before: dict[str, Any] | None) -> dict[str, Any]:
    """The item that a region stands for; `before` is the item that it was made from, None where it is new.

    Fields that no tool shows stay as they were; a new item gets those of a COCO file that lacks them. Polygons stay
    where box and category do, and are left out elsewhere: they would be of another shape.
    """
    item = before or {name: STANDINS[name] for name in ("style", *SUBSETS)}
    known = before is not None and before["category_name"] == region.category.name
    box = _kept(region.box, before["bounding_box"] if before else None)
    landmarks = _kept(region.landmarks, before["landmarks"] if before and known else None)
    same = before is not None and known and box == before["bounding_box"]
    return item | {
        "category_id": region.category.index + 1,
        "category_name": region.category.name,
        "bounding_box": box,
        "landmarks": landmarks,
        "segmentation": item.get("segmentation", []) if same else [],
    }


def _kept(values: Float64[np.ndarray, "..."], before: list[Any] | None) -> list[Any]:
    """The numbers as a list, those that were nearly the same before as they were then."""
    rows = values.reshape(-1, 2) if values.ndim == 1 else values
    found = np.round(rows, 2)
    if before is not None:
        earlier = np.array(before, np.float64).reshape(rows.shape)
        same = np.abs(rows[:, :2] - earlier[:, :2]).max(axis=1, initial=0) <= SAME
        if rows.shape[1] == 3:
            absent = (rows[:, 2] == 0) & (earlier[:, 2] == 0)
            same = (same & (rows[:, 2] == earlier[:, 2])) | absent
        if same.all():
            return before
        found[same] = earlier[same]
    return [int(value) if value == int(value) else value for value in found.ravel().tolist()]


def corrections_of(answer: Answer) -> Iterator[Correction]:
    """The decisions in an answer: each item of the task is wrong or fine, and a garment without an item is new."""

    def decided(item: str, decision: Decision, action: Action, after: str = "") -> Correction:
        return Correction(
            split=answer.split,
            image_id=answer.image_id,
            item=item,
            decision=decision,
            action=action,
            before=answer.items.get(item, ""),
            after=after,
            by=answer.by,
            at=answer.at,
            source=answer.source,
            reason=answer.reason,
            image_sha256="" if action is Action.NOTHING else answer.sha256,
        )

    if answer.unsure:
        yield decided("", Decision.UNSURE, Action.NOTHING)
        return
    regions = {region.name: region for region in answer.regions if region.name in answer.items}
    for name, text in answer.items.items():
        if name not in regions:
            yield decided(name, Decision.WRONG, Action.REMOVE)
            continue
        after = item_text(item_of(regions[name], json.loads(text)))
        if after == text:
            yield decided(name, Decision.FINE, Action.NOTHING)
        else:
            yield decided(name, Decision.WRONG, Action.REPLACE, after)
    number = max((int(name[4:]) for name in answer.items if ITEM_NAME.fullmatch(name)), default=0)
    for region in answer.regions:
        if region.name not in answer.items:
            number += 1
            yield decided(f"item{number}", Decision.WRONG, Action.ADD, item_text(item_of(region, None)))
