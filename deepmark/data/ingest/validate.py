"""Validation of one input: an image and its annotation become a record, or are rejected as a whole.

Runs in worker processes, so it imports little.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import simplejpeg
from PIL import Image

from deepmark.data.corrections import Correction, check_image
from deepmark.data.ingest.annotation import Annotation, parse_annotation
from deepmark.data.ingest.strict_json import InvalidInputError
from deepmark.images import MOST_SCANS, decode_jpeg, has_too_many_scans
from deepmark.images.file_kinds import JPEG, kind_of
from deepmark.images.rgb import PILLOW_ERRORS, TRANSPOSED, exif_orientation
from deepmark.types import ImageRecord
from deepmark.vocabulary import Vocabulary

MOST_ANNOTATION_BYTES = 4 * 2**20
"""Real files have about 10 KB. A malicious file of this size still parses within 1 GB of memory."""

COLORS = ("Gray", "YCbCr", "RGB")
"""The colours of a JPEG, in simplejpeg's words, that become RGB."""

MOST_EXIF_BYTES = 2**17
"""EXIF data and XMP stand before the image, in segments of at most 64 KiB."""

_EXIF_MARKS = (b"Exif", b"ns.adobe.com/xap")

_NAME = re.compile(r"[0-9]{6}|[1-9][0-9]{6,8}", re.ASCII)


class Input(NamedTuple):
    """An image and its annotation, one of which may be missing."""

    name: str
    """Their file name without the suffix, "000001"; for a file that is neither, its path."""

    image: str | None
    annotation: str | None
    """Paths below the split's folder."""

    corrections: tuple[Correction, ...] = ()
    """Of its labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedInput:
    """An input that was rejected, and why."""

    name: str
    kind: str
    """A word for counting, for example "box_empty"."""

    reason: str
    """A sentence for people: which item, which field, what was found."""

    path: str
    """The offending file, below the split's folder."""

    sha256: str
    """Of that file, hexadecimal; empty if it cannot be read."""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def _read(path: Path, most_bytes: float, kind: str) -> bytes:
    try:
        if not path.is_file():  # a folder, a pipe or a broken link
            raise InvalidInputError("file_unreadable", "is not a file")
        size = path.stat().st_size
        if size > most_bytes:
            raise InvalidInputError(kind, f"has {size:,} bytes, more than the {most_bytes:,.0f} allowed")
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError("file_unreadable", f"cannot be read: {error.strerror}") from None


def jpeg_size(jpeg: bytes, *, max_megapixels: float) -> tuple[int, int]:
    """(height, width) of a JPEG that decodes, as stored: an orientation in its EXIF data is not applied.

    The size in the header is checked first, so an image that is too large is never decoded. Decoding at an eighth of
    the size then finds a truncated file in half the time of a full decode.

    Raises InvalidInputError of the kinds picture_unreadable and picture_too_large.
    """
    kind = kind_of(jpeg)
    if kind != JPEG:
        raise InvalidInputError("picture_unreadable", f"is {kind}, not a JPEG")
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(jpeg)
        if height * width > max_megapixels * 1e6:
            raise InvalidInputError(
                "picture_too_large",
                f"has {width} x {height} pixels, more than the {max_megapixels:g} megapixels allowed",
            )
        if colors not in COLORS:
            raise InvalidInputError("picture_unreadable", f"is a JPEG in {colors}: convert it to RGB")
        if has_too_many_scans(jpeg):
            raise InvalidInputError("picture_unreadable", f"is a JPEG of more than {MOST_SCANS} scans")
        decode_jpeg(jpeg, shrink=8)
    except ValueError as error:
        raise InvalidInputError("picture_unreadable", f"is not an intact JPEG: {error}") from None
    return height, width


def _orientation(jpeg: bytes) -> int:
    """1..8, as in EXIF."""
    if not any(mark in jpeg[:MOST_EXIF_BYTES] for mark in _EXIF_MARKS):
        return 1
    try:
        with Image.open(BytesIO(jpeg), formats=["JPEG"]) as image:
            return exif_orientation(image)
    except PILLOW_ERRORS:
        return 1


def _parse(parse: Callable[..., Annotation], size: tuple[int, int], orientation: int) -> Annotation:
    """The annotation that `parse` makes for an image of this (height, width) as stored.

    The data set says nothing of orientation: its labels are of the pixels as stored, unless they leave these and fit
    the image as its EXIF data turns it. Then the image is rejected.
    """
    parsed, fault = None, None
    try:
        parsed = parse(size=size)
    except InvalidInputError as error:
        fault = error
    if orientation in TRANSPOSED and _leaves(parsed, fault):
        upright = parse(size=size[::-1])
        if not _leaves(upright, None):
            raise InvalidInputError(
                "orientation_differs",
                f"its labels leave the image of {size[1]} x {size[0]} as stored, and fit the one of {size[0]} x "
                f"{size[1]} that its EXIF data makes of it (orientation {orientation}): store it upright",
            )
    if parsed is None:
        assert fault is not None
        raise fault
    parsed.notes["orientation_ignored"] += orientation != 1
    return parsed


def _leaves(parsed: Annotation | None, fault: InvalidInputError | None) -> bool:
    """Whether labels are outside the image."""
    if parsed is None:
        return fault is not None and fault.kind == "box_outside"
    return bool(parsed.notes["boxes_clipped"] or parsed.notes["landmarks_outside"])


def _digest(path: Path) -> str:
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _paths(given: Input) -> tuple[str, str]:
    """The paths of image and annotation.

    Raises InvalidInputError if one is missing or the name is not a number.
    """
    if not _NAME.fullmatch(given.name):
        raise InvalidInputError(
            "name_unexpected", "is neither image/NNNNNN.jpg nor annos/NNNNNN.json, with six to nine digits"
        )
    if given.image is None:
        raise InvalidInputError("picture_missing", f"there is no image image/{given.name}.jpg for it")
    if given.annotation is None:
        raise InvalidInputError("annotation_missing", f"there is no annotation annos/{given.name}.json for it")
    return given.image, given.annotation


def validate_input(
    given: Input, folder: Path, *, max_megapixels: float, vocabulary: Vocabulary
) -> tuple[ImageRecord, Counter[str]] | RejectedInput:
    """The record of one input and the notes on it, or the reason for its rejection."""
    path = given.image or given.annotation
    assert path is not None
    try:
        image, annotation = _paths(given)
        # A JPEG has fewer bytes than its pixels, which have three each.
        jpeg = _read(folder / image, max_megapixels * 3e6, "picture_too_large")
        height, width = jpeg_size(jpeg, max_megapixels=max_megapixels)
        path = annotation
        text = _read(folder / annotation, MOST_ANNOTATION_BYTES, "annotation_too_large")
        parse = partial(
            parse_annotation, text, vocabulary=vocabulary, corrections=given.corrections, where=folder / annotation
        )
        parsed = _parse(parse, (height, width), _orientation(jpeg))
    except InvalidInputError as error:
        printable = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        name = printable if given.name == path else given.name
        return RejectedInput(
            name=name, kind=error.kind, reason=error.reason, path=printable, sha256=_digest(folder / path)
        )
    sha256 = hashlib.sha256(jpeg).hexdigest()
    check_image(given.corrections, sha256, folder / image)
    record = ImageRecord(
        id=int(given.name),
        file=image,
        sha256=sha256,
        bytes=len(jpeg),
        width=width,
        height=height,
        source=parsed.source,
        pair_id=parsed.pair_id,
        garments=parsed.garments,
    )
    return record, parsed.notes
