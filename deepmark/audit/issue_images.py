"""What a person needs to see of a suspect: the label and what the model has in its place, or both pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float

from deepmark.audit.label_issue import Suspicion
from deepmark.data.images import decode_jpeg
from deepmark.data.shards.reader import ShardReader
from deepmark.draw import Image, draw_detections, draw_truth
from deepmark.geometry import box_iou
from deepmark.schema import CATEGORY_BY_NAME
from deepmark.types import Detections, Garment, ImageRecord

_LETTERS = " (L, R: its left, its right)"

_MARGIN = 0.12
"""Of the cut-out, around what it is about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture of an exhibit."""

    caption: str
    image: Image


@dataclass(frozen=True, kw_only=True, slots=True)
class Exhibit:
    """A suspect with its pictures."""

    suspect: Suspicion
    file: str
    """"train/image/000012.jpg"."""

    panels: tuple[Panel, ...]


class Pictures:
    """The pictures of the splits by their numbers, and what the model found in some."""

    def __init__(self, readers: Mapping[str, ShardReader], found: Mapping[str, Mapping[int, Detections]]) -> None:
        self._readers, self._found = readers, found
        self._places = {
            split: {int(reader.key(position)): position for position in range(len(reader))}
            for split, reader in readers.items()
        }

    def exhibit(self, suspect: Suspicion) -> Exhibit:
        """The suspect's pictures, drawn upon."""
        record, image = self._open(suspect.split, suspect.image_id)
        file = f"{suspect.split}/{record.file}"
        if suspect.other is None:
            found = self._found.get(suspect.split, {}).get(suspect.image_id)
            return Exhibit(suspect=suspect, file=file, panels=tuple(label_panels(suspect, record, image, found)))
        split, name = suspect.other.split("/", 1)
        other = self._open(split, int(name.rsplit("/", 1)[-1].split(".")[0]))[1]
        panels = Panel(caption=file, image=image), Panel(caption=suspect.other, image=other)
        return Exhibit(suspect=suspect, file=file, panels=panels)

    def _open(self, split: str, number: int) -> tuple[ImageRecord, Image]:
        record, jpeg = self._readers[split][self._places[split][number]]
        return record, decode_jpeg(jpeg)


def label_panels(suspect: Suspicion, record: ImageRecord, image: Image, found: Detections | None) -> list[Panel]:
    """The label, and what the model has in its place; cut out of the picture."""
    items = [item for item in record.garments if item.item == suspect.item]
    chosen = None if found is None else _chosen(suspect, items, found)
    boxes = [item.box for item in items] + ([] if chosen is None else [chosen.boxes[0].astype(np.float64)])
    points = [item.landmarks[item.landmarks[:, 2] > 0, :2] for item in items]
    corners = np.concatenate([np.empty((0, 2)), *(box.reshape(2, 2) for box in boxes), *points])
    left, top, right, bottom = _window(corners, image)
    cut, offset = np.ascontiguousarray(image[top:bottom, left:right]), np.array([left, top])
    shown = replace(record, garments=tuple(_moved(item, offset) for item in items or record.garments))
    numbers = _numbers(suspect)
    drawn = draw_truth(cut, shown)
    for item in shown.garments if numbers else ():
        labelled = {each: text for each, text in numbers.items() if item.landmarks[each, 2] > 0}
        _write(drawn, item.landmarks[:, :2] * (drawn.shape[0] / cut.shape[0]), labelled)
    panels = [Panel(caption=f"labelled{_LETTERS if 'L' in numbers.values() else ''}", image=drawn)]
    if chosen is not None:
        moved = replace(
            chosen,
            boxes=chosen.boxes - np.tile(offset, 2).astype(np.float32),
            landmarks=chosen.landmarks - offset.astype(np.float32),
        )
        drawn = draw_detections(cut, moved, min_score=0.0)
        _write(drawn, moved.landmarks[0].astype(np.float64) * (drawn.shape[0] / cut.shape[0]), numbers)
        panels.append(Panel(caption="found by the model", image=drawn))
    return panels


def _numbers(suspect: Suspicion) -> dict[int, str]:
    """What is written beside which landmark: a skeleton under exchanged numbers looks like any other."""
    wrong = [number - 1 for number in suspect.landmarks]
    if len(wrong) <= 2:
        return {each: str(each + 1) for each in wrong}
    parts = CATEGORY_BY_NAME[suspect.category or ""].parts
    return {each: parts[each][0].upper() for each in wrong}  # "left cuff outer": L


def _write(image: Image, points: Float[np.ndarray, "k 2"], texts: Mapping[int, str]) -> None:
    scale = max(0.6, image.shape[0] / 600)
    for each, text in texts.items():
        place = round(float(points[each, 0])) + 6, round(float(points[each, 1])) - 6
        for color, width in (((24, 24, 28), 5), ((255, 255, 255), 2)):
            cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, width, cv2.LINE_AA)


def _chosen(suspect: Suspicion, items: Sequence[Garment], found: Detections) -> Detections | None:
    """The detection that the entry is about, or the one of the label's category that is nearest to it."""
    if suspect.box is not None:
        off = np.abs(found.boxes - suspect.box).max(axis=1)
        return found[np.array([int(off.argmin())])]
    if not items:
        return None
    same = np.flatnonzero(found.categories == items[0].category)
    if not len(same):
        return None
    overlaps = box_iou(items[0].box[None], found.boxes[same].astype(np.float64))[0]
    return found[np.array([int(same[int(overlaps.argmax())])])] if overlaps.max() > 0 else None


def _window(corners: Float[np.ndarray, "n 2"], image: Image) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    if not len(corners):
        return 0, 0, width, height
    first, last = corners.min(axis=0), corners.max(axis=0)
    margin = max(16.0, _MARGIN * float((last - first).max()))
    left, top = np.maximum(np.floor(first - margin), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(last + margin), (width, height)).astype(int).tolist()
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _moved(item: Garment, offset: Float[np.ndarray, "2"] | np.ndarray) -> Garment:
    landmarks = item.landmarks.copy()
    landmarks[:, :2] -= offset
    return replace(item, box=item.box - np.tile(offset, 2), landmarks=landmarks)
