"""The images that a person needs to judge a label issue: the label and the detection, or both duplicates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from deepmark.audit.label_issue import LabelIssue
from deepmark.data.shards.reader import ShardReader
from deepmark.draw import Image, draw_detections, draw_truth
from deepmark.geometry import box_iou
from deepmark.images import decode_jpeg
from deepmark.shapes import Float
from deepmark.types import Detections, Garment, ImageRecord
from deepmark.vocabulary import Vocabulary

_LETTERS = " (L, R: its left, its right)"

_MARGIN = 0.12
"""Added to each side of a crop; share of the longer side of what it shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One image with its caption."""

    caption: str
    image: Image


@dataclass(frozen=True, kw_only=True, slots=True)
class IllustratedIssue:
    """A label issue with its images."""

    issue: LabelIssue
    file: str
    """"train/image/000012.jpg"."""

    panels: tuple[Panel, ...]


class Illustrator:
    """Draws label issues upon the images of the splits, with the detections of those splits that have some."""

    def __init__(self, readers: Mapping[str, ShardReader], detections: Mapping[str, Mapping[int, Detections]]) -> None:
        self._readers, self._detections = readers, detections
        self._positions = {
            split: {int(reader.key(position)): position for position in range(len(reader))}
            for split, reader in readers.items()
        }

    def illustrate(self, issue: LabelIssue) -> IllustratedIssue:
        """The issue with its images, drawn upon."""
        record, image = self._open(issue.split, issue.image_id)
        file = f"{issue.split}/{record.file}"
        if issue.other is None:
            vocabulary = self._readers[issue.split].vocabulary
            detections = self._detections.get(issue.split, {}).get(issue.image_id)
            return IllustratedIssue(
                issue=issue,
                file=file,
                panels=tuple(label_panels(issue, record, image, detections, vocabulary=vocabulary)),
            )
        split, name = issue.other.split("/", 1)
        other = self._open(split, int(name.rsplit("/", 1)[-1].split(".")[0]))[1]
        both = Panel(caption=file, image=image), Panel(caption=issue.other, image=other)
        return IllustratedIssue(issue=issue, file=file, panels=both)

    def _open(self, split: str, number: int) -> tuple[ImageRecord, Image]:
        record, jpeg = self._readers[split][self._positions[split][number]]
        return record, decode_jpeg(jpeg)


def label_panels(
    issue: LabelIssue,
    record: ImageRecord,
    image: Image,
    detections: Detections | None,
    *,
    vocabulary: Vocabulary,
) -> list[Panel]:
    """The label, and the detection in its place if there is one; cropped from the image."""
    items = [item for item in record.garments if item.item == issue.item]
    chosen = None if detections is None else _chosen(issue, items, detections)
    boxes = [item.box for item in items] + ([] if chosen is None else [chosen.boxes[0].astype(np.float64)])
    points = [item.landmarks[item.landmarks[:, 2] > 0, :2] for item in items]
    corners = np.concatenate([np.empty((0, 2)), *(box.reshape(2, 2) for box in boxes), *points])
    left, top, right, bottom = window(corners, image)
    cut, offset = np.ascontiguousarray(image[top:bottom, left:right]), np.array([left, top])
    shown = replace(record, garments=tuple(moved(item, offset) for item in items or record.garments))
    numbers = _numbers(issue, vocabulary)
    drawn = draw_truth(cut, shown, vocabulary)
    for item in shown.garments if numbers else ():
        labelled = {each: text for each, text in numbers.items() if item.landmarks[each, 2] > 0}
        _write(drawn, item.landmarks[:, :2] * (drawn.shape[0] / cut.shape[0]), labelled)
    panels = [Panel(caption=f"labelled{_LETTERS if 'L' in numbers.values() else ''}", image=drawn)]
    if chosen is not None:
        placed = replace(
            chosen,
            boxes=chosen.boxes - np.tile(offset, 2).astype(np.float32),
            landmarks=chosen.landmarks - offset.astype(np.float32),
        )
        drawn = draw_detections(cut, placed, min_score=0.0)
        _write(drawn, placed.landmarks[0].astype(np.float64) * (drawn.shape[0] / cut.shape[0]), numbers)
        panels.append(Panel(caption="found by the model", image=drawn))
    return panels


def _numbers(issue: LabelIssue, vocabulary: Vocabulary) -> dict[int, str]:
    """Texts for the landmarks whose numbers are wrong, since a skeleton with swapped numbers looks like any other.

    L and R for three or more whose names begin so, such as "left cuff outer".
    """
    wrong = [number - 1 for number in issue.landmarks]
    parts = vocabulary.by_name[issue.category].parts if issue.category else ()
    if len(wrong) <= 2 or not all(parts[each].startswith(("left", "right")) for each in wrong):
        return {each: str(each + 1) for each in wrong}
    return {each: parts[each][0].upper() for each in wrong}


def _write(image: Image, points: Float[np.ndarray, "k 2"], texts: Mapping[int, str]) -> None:
    scale = max(0.6, image.shape[0] / 600)
    for each, text in texts.items():
        place = round(float(points[each, 0])) + 6, round(float(points[each, 1])) - 6
        for color, width in (((24, 24, 28), 5), ((255, 255, 255), 2)):
            cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, width, cv2.LINE_AA)


def _chosen(issue: LabelIssue, items: Sequence[Garment], detections: Detections) -> Detections | None:
    """The detection that the issue is about, or else the one of the item's category that overlaps it most."""
    if issue.box is not None:
        off = np.abs(detections.boxes - issue.box).max(axis=1)
        return detections[np.array([int(off.argmin())])]
    if not items:
        return None
    same = np.flatnonzero(detections.categories == items[0].category)
    if not len(same):
        return None
    overlaps = box_iou(items[0].box[None], detections.boxes[same].astype(np.float64))[0]
    return detections[np.array([int(same[int(overlaps.argmax())])])] if overlaps.max() > 0 else None


def window(corners: Float[np.ndarray, "n 2"], image: Image) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of the image that shows these points with a margin, in whole pixels."""
    height, width = image.shape[:2]
    if not len(corners):
        return 0, 0, width, height
    first, last = corners.min(axis=0), corners.max(axis=0)
    margin = max(16.0, _MARGIN * float((last - first).max()))
    left, top = np.maximum(np.floor(first - margin), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(last + margin), (width, height)).astype(int).tolist()
    return left, top, max(right, left + 1), max(bottom, top + 1)


def moved(item: Garment, offset: Float[np.ndarray, "2"] | np.ndarray) -> Garment:
    """The garment in an image whose upper left corner was at `offset`."""
    landmarks = item.landmarks.copy()
    landmarks[:, :2] -= offset
    return replace(item, box=item.box - np.tile(offset, 2), landmarks=landmarks)
