"""The images of the data sheet: for each category some labelled items, cut out of their images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from deepmark.audit.issue_images import moved, window
from deepmark.draw import draw_truth
from deepmark.images import decode_jpeg
from deepmark.report.data_sheet.counts import SplitCounts
from deepmark.shapes import UInt8

if TYPE_CHECKING:
    from deepmark.data.shards.reader import ShardReader

HEIGHT = 180
"""Pixels of an image on the page; no wider than twice that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleImage:
    """An item of a category with its label."""

    file: str
    """"train/image/000012.jpg"."""

    item: str
    image: UInt8[np.ndarray, "h w 3"]


def sample_images(
    counts: Mapping[str, SplitCounts], readers: Mapping[str, "ShardReader"], most: int
) -> list[list[SampleImage]]:
    """By category, the labelled items that the counts chose, `most` at most, of the first split that has enough.

    Splits without a reader have no images.
    """
    positions = {
        split: {int(reader.key(position)): position for position in range(len(reader))}
        for split, reader in readers.items()
    }
    categories = next(iter(counts.values())).vocabulary.categories
    made: list[list[SampleImage]] = [[] for _ in categories]
    for category in categories:
        for split, reader in readers.items():
            for image_id, item in counts[split].samples[category.index][: most - len(made[category.index])]:
                place = positions[split].get(image_id)
                if place is not None:
                    made[category.index].append(_cut(reader, split, place, item))
    return made


def _cut(reader: "ShardReader", split: str, place: int, key: str) -> SampleImage:
    record, jpeg = reader[place]
    image = decode_jpeg(jpeg)
    (item,) = [one for one in record.garments if one.item == key]
    labelled = item.landmarks[item.landmarks[:, 2] > 0, :2]
    left, top, right, bottom = window(np.concatenate([item.box.reshape(2, 2), labelled]), image)
    cut = np.ascontiguousarray(image[top:bottom, left:right])
    shown = replace(record, garments=(moved(item, np.array([left, top])),))
    drawn = Image.fromarray(draw_truth(cut, shown, reader.vocabulary))
    scale = min(HEIGHT / drawn.height, 2 * HEIGHT / drawn.width)
    size = max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale))
    small = np.asarray(drawn.resize(size, Image.Resampling.LANCZOS))
    return SampleImage(file=f"{split}/{record.file}", item=key, image=small)
