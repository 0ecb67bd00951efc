"""Detection in image files and folders of any kind, with JSON and drawn images as results (`deepmark detect`)."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from deepmark.draw import draw_detections
from deepmark.errors import DeepmarkError
from deepmark.files import new_file, write_text
from deepmark.images import open_image
from deepmark.progress import progress
from deepmark.runtime.image_detector import ImageDetector
from deepmark.shapes import UInt8

_TEXT = b"drawn by deepmark detect"
_COMMENT = b"\xff\xfe" + (len(_TEXT) + 2).to_bytes(2) + _TEXT
"""A segment of a JPEG file that holds a comment: marker, length with its own two bytes, text."""


def drawings_of(images: Iterable[Path], folder: Path) -> dict[Path, Path]:
    """The file for the drawing of each image; names differ also where two folders hold files of the same name."""
    drawings: dict[Path, Path] = {}
    taken: set[str] = set()
    for image in images:
        numbered = (f"{image.stem}-{number}.jpg" for number in count(2))
        name = next(name for name in chain([f"{image.stem}.jpg"], numbered) if name.lower() not in taken)
        taken.add(name.lower())  # some file systems take A.jpg and a.jpg for one name
        drawings[image] = folder / name
    return drawings


def is_drawing(file: Path) -> bool:
    """Whether the file is a drawing of `deepmark detect`, which says so in a JPEG comment."""
    if not file.is_file():
        return False
    with file.open("rb") as start:
        return _COMMENT in start.read(256)


def _save(image: UInt8[np.ndarray, "h w 3"], path: Path) -> None:
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(image), 92)
    header = 4 + int.from_bytes(jpeg[4:6])  # up to the end of the first segment, JFIF's own
    with new_file(path) as draft:
        draft.write_bytes(jpeg[:header] + _COMMENT + jpeg[header:])


def _tell(text: str) -> None:
    print(f"deepmark detect: {text}", file=sys.stderr)


def detect_files(
    images: Sequence[Path],
    detector: ImageDetector,
    *,
    drawings: Mapping[Path, Path],
    out: Path | None,
    as_json: bool,
) -> int:
    """Detect in image files and print the detections, as JSON or as lines; returns how many images could not be read.

    `drawings` has the files for the images with detections drawn,
    `out` is a file for the detections as JSON; they are replaced without a question. An image that cannot be read is
    named on standard error, and the others go on.
    """
    results: dict[str, list[dict[str, Any]]] = {}
    failed = 0
    with progress("detect", len(images)) as advance:
        for path in images:
            try:
                image = open_image(path)
                detections = detector(image)
            except DeepmarkError as error:
                _tell(str(error))
                failed += 1
            else:
                if image.note:
                    _tell(f"{path}: {image.note}.")
                results[str(path)] = detections.as_dicts()
                if path in drawings:
                    _save(draw_detections(image.pixels(), detections, min_score=0), drawings[path])
                    if drawings[path].stem != path.stem:
                        _tell(f"{path}: drawn as {drawings[path].name}, because another has the name {path.stem}.jpg.")
            advance(1)
    text = json.dumps(results, indent=2)
    if out is not None:
        write_text(out, text + "\n")
    if as_json:
        print(text)
        return failed
    for path_name, garments in results.items():
        line = ", ".join(f"{garment['category']} {garment['score']:.2f}" for garment in garments)
        print(f"{path_name}: {line or 'nothing found'}")
    return failed
