"""The images of the report page: labels beside detections, each within its share of the page's bytes."""

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from deepmark.draw import contact_sheet, draw_detections, draw_truth
from deepmark.images import decode_jpeg
from deepmark.report.choose_images import KINDS, Choice, Reason
from deepmark.shapes import UInt8
from deepmark.types import Detections, ImageRecord

if TYPE_CHECKING:
    import pandas as pd

    from deepmark.data.shards.reader import ShardReader
    from deepmark.types import Prediction

MOST_BYTES = 6_600_000
"""Of all images of a page together: 8.8 MB as text; the rest takes 0.8 MB, and the page stays below 10 MB."""

MOST_BYTES_EACH = 110_000
"""More bytes do not visibly improve an image."""

LONGEST = 1000
"""Long side in pixels of the largest image on the page."""

LEVELS: tuple[tuple[float, int], ...] = (
    *((1.0, quality) for quality in (85, 72, 58, 44)),
    *((0.8, quality) for quality in (56, 42)),
    *((0.65, quality) for quality in (52, 38)),
    *((share, 40) for share in (0.5, 0.36, 0.25, 0.16, 0.08)),
)
"""Share of the size and WebP's quality, from good to small: each about two thirds of the bytes of the one before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportImage:
    """An image of the page."""

    name: str
    """Its number, as in its file's name: "000017"."""

    labelled: UInt8[np.ndarray, "h w 3"]
    found: UInt8[np.ndarray, "h w 3"]
    """RGB: the image with its labels, and with its detections."""

    reasons: tuple[Reason, ...]
    description: str
    """The content in words, as the alternative text."""

    items: tuple[str, ...]
    """A line for each labelled garment: how it was found."""

    @property
    def why(self) -> str:
        """ "worst: vest, sling; best: scale small"."""
        by_kind = {kind: [reason.group for reason in self.reasons if reason.kind == kind] for kind in KINDS}
        return "; ".join(f"{kind}: {', '.join(groups)}" for kind, groups in by_kind.items() if groups)


def draw_images(
    chosen: Sequence[Choice],
    reader: "ShardReader",
    predictions: Iterable["Prediction"],
    items: "pd.DataFrame",
    *,
    min_score: float,
    progress: Callable[[int], None] = lambda count: None,
) -> list[ReportImage]:
    """The chosen images in their order, with their labels, and with their detections of at least `min_score`.

    `predictions` are those of the images of `reader`, in its order; `items` is the content of items.parquet.
    """
    wanted = {choice.image_id: choice for choice in chosen}
    drawn: dict[int, ReportImage] = {}
    for position, (image_id, _, found) in enumerate(predictions):
        if image_id in wanted:
            record, jpeg = reader[position]
            assert record.id == image_id
            image = decode_jpeg(jpeg)
            drawn[image_id] = ReportImage(
                name=reader.key(position),
                labelled=draw_truth(image, record, reader.vocabulary),
                found=draw_detections(image, found, min_score=min_score),
                reasons=wanted[image_id].reasons,
                description=describe(record, found, min_score=min_score),
                items=tuple(item_lines(items[items.image_id == image_id])),
            )
            progress(1)
    return [drawn[choice.image_id] for choice in chosen]


def describe(record: ImageRecord, found: Detections, *, min_score: float) -> str:
    """The content of the image in words."""
    names = list(found.vocabulary.by_name)
    labelled = [names[garment.category] for garment in record.garments]
    shown = [
        f"{names[category]} {score:.2f}"
        for category, score in zip(found.categories.tolist(), found.scores.tolist(), strict=True)
        if score >= min_score
    ]
    return f"Labelled: {', '.join(labelled) or 'nothing'}. Found: {', '.join(shown) or 'nothing'}."


def item_lines(items: "pd.DataFrame") -> Iterator[str]:
    """One line for each garment of an image: how it was detected, from its row of items.parquet."""
    rows: Iterable[Any] = items.itertuples()
    for one in rows:
        if not isinstance(one.found_category, str):
            yield f"{one.category}: missed"
            continue
        name = "found" if one.found_category == one.category else f"taken for {one.found_category}"
        oks = "" if np.isnan(one.oks) else f", OKS {one.oks:.2f}"
        yield f"{one.category}: {name}, score {one.score:.2f}, IoU {one.iou:.2f}{oks}"


def encode_webp(image: UInt8[np.ndarray, "h w 3"], most_bytes: int) -> bytes:
    """The image as WebP of at most `most_bytes`, at the best of `LEVELS` that fits, or at the last one."""
    full = Image.fromarray(image)
    best = _encoded(full, 0)
    if len(best) <= most_bytes:
        return best
    # The first level that fits, by halves: an encoding of a photograph takes a tenth of a second.
    small, last = 1, len(LEVELS) - 1
    while small < last:
        middle = (small + last) // 2
        small, last = (small, middle) if len(_encoded(full, middle)) <= most_bytes else (middle + 1, last)
    return _encoded(full, small)


def _encoded(full: Image.Image, level: int) -> bytes:
    share, quality = LEVELS[level]
    scale = share * min(1.0, LONGEST / max(full.size))
    width, height = (max(1, round(side * scale)) for side in full.size)
    resized = full.resize((width, height), Image.Resampling.LANCZOS) if scale < 1 else full
    stream = io.BytesIO()
    resized.save(stream, "WEBP", quality=quality, method=2, use_sharp_yuv=True)
    return stream.getvalue()


def data_uris(images: Sequence[UInt8[np.ndarray, "_ _ 3"]], *, most_bytes: int = MOST_BYTES) -> Iterator[str]:
    """Each image as a data URI; bytes that one image does not use are passed on to the next."""
    left = most_bytes
    for done, image in enumerate(images):
        data = encode_webp(image, min(left // (len(images) - done), MOST_BYTES_EACH))
        left -= len(data)
        yield f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def overview(images: Iterable[ReportImage], *, height: int = 320) -> UInt8[np.ndarray, "h w 3"] | None:
    """A row of small copies of the images, labels beside detections, for lists of results; None without images."""
    small = []
    for one in images:
        both = contact_sheet([one.labelled, one.found], columns=2)
        width = max(1, round(both.shape[1] * height / both.shape[0]))
        small.append(np.asarray(Image.fromarray(both).resize((width, height), Image.Resampling.LANCZOS)))
    return contact_sheet(small, columns=len(small)) if small else None
