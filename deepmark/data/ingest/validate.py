"""One input of the data set, checked as a whole: a picture and its annotation become a record, or are set aside.

Runs in worker processes, so it imports little.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import simplejpeg

from deepmark.data.ingest.annotation import parse_annotation
from deepmark.data.ingest.strict_json import UnfitError
from deepmark.types import ImageRecord

MOST_ANNOTATION_BYTES = 4 * 2**20
"""Real files have some 10 KB; a hostile one this large still parses in well under 1 GB."""

MOST_SCANS = 100
"""Progressive JPEGs have about 10. Each costs a pass over the picture, so thousands would take minutes."""

_NAME = re.compile(r"[0-9]{6}|[1-9][0-9]{6,8}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """A picture and its annotation, of which one may be missing."""

    name: str
    """What they are called without the suffix: "000001"; a file that belongs to neither kind goes by its path."""

    picture: str | None
    annotation: str | None
    """Paths below the split's folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reject:
    """An input that was set aside."""

    name: str
    kind: str
    """One word for counting: "box_empty"."""

    reason: str
    """For a person: which item, which field, what was found."""

    path: str
    """The offending file, below the split's folder."""

    sha256: str
    """Of that file, hexadecimal; empty where it cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """Some inputs after the check: each is in one of the two lists."""

    records: list[ImageRecord]
    rejects: list[Reject]
    notes: Counter[str]


def _read(path: Path, most_bytes: float, kind: str) -> bytes:
    try:
        if not path.is_file():  # a folder, a pipe, a link to nowhere
            raise UnfitError("file_unreadable", "is not a file")
        size = path.stat().st_size
        if size > most_bytes:
            raise UnfitError(kind, f"has {size:,} bytes, more than the {most_bytes:,.0f} allowed")
        return path.read_bytes()
    except OSError as error:
        raise UnfitError("file_unreadable", f"cannot be read: {error.strerror}") from None


def picture_size(jpeg: bytes, *, max_megapixels: float) -> tuple[int, int]:
    """(height, width) of a JPEG as stored (an orientation in its EXIF is not applied), after proof that it decodes.

    The header is believed first, so that a picture that is too large is never decoded; then everything is decoded at
    an eighth of its size, which finds a truncated file in half the time of a full decode.

    Raises UnfitError of the kinds picture_unreadable and picture_too_large.
    """
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
        if height * width > max_megapixels * 1e6:
            raise UnfitError(
                "picture_too_large",
                f"has {width} x {height} pixels, more than the {max_megapixels:g} megapixels allowed",
            )
        if jpeg.count(b"\xff\xda") > MOST_SCANS:
            raise UnfitError("picture_unreadable", f"is a JPEG of more than {MOST_SCANS} scans")
        simplejpeg.decode_jpeg(jpeg, min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        raise UnfitError("picture_unreadable", f"is not an intact JPEG: {error}") from None
    return height, width


def _digest(path: Path) -> str:
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _paths(given: Input) -> tuple[str, str]:
    """Picture and annotation of a complete, well-named input."""
    if not _NAME.fullmatch(given.name):
        raise UnfitError("name_unexpected", "is neither image/NNNNNN.jpg nor annos/NNNNNN.json")
    if given.picture is None:
        raise UnfitError("picture_missing", f"there is no picture image/{given.name}.jpg for it")
    if given.annotation is None:
        raise UnfitError("annotation_missing", f"there is no annotation annos/{given.name}.json for it")
    return given.picture, given.annotation


def check_input(given: Input, folder: Path, *, max_megapixels: float) -> tuple[ImageRecord, Counter[str]] | Reject:
    """The record of one input and what was noted on the way, or why there is none."""
    path = given.picture or given.annotation
    assert path is not None
    try:
        picture, annotation = _paths(given)
        # Three bytes a pixel: a JPEG larger than its own pixels is no picture.
        jpeg = _read(folder / picture, max_megapixels * 3e6, "picture_too_large")
        height, width = picture_size(jpeg, max_megapixels=max_megapixels)
        path = annotation
        text = _read(folder / annotation, MOST_ANNOTATION_BYTES, "annotation_too_large")
        parsed = parse_annotation(text, size=(height, width))
    except UnfitError as unfit:
        printable = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        name = printable if given.name == path else given.name
        return Reject(name=name, kind=unfit.kind, reason=unfit.reason, path=printable, sha256=_digest(folder / path))
    record = ImageRecord(
        id=int(given.name),
        file=picture,
        sha256=hashlib.sha256(jpeg).hexdigest(),
        bytes=len(jpeg),
        width=width,
        height=height,
        source=parsed.source,
        pair_id=parsed.pair_id,
        garments=parsed.garments,
    )
    return record, parsed.notes


def check_inputs(inputs: Sequence[Input], *, folder: Path, max_megapixels: float) -> Checked:
    """The check of several inputs, in their order."""
    checked = Checked(records=[], rejects=[], notes=Counter())
    for given in inputs:
        result = check_input(given, folder, max_megapixels=max_megapixels)
        if isinstance(result, Reject):
            checked.rejects.append(result)
        else:
            record, notes = result
            checked.records.append(record)
            checked.notes.update(notes)
    return checked
