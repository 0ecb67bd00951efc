"""Image files that `deepmark detect` writes, drawings and crops: their names, and how they are known as its own."""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain, count
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import simplejpeg

from deepmark.files import new_file
from deepmark.infer.find_images import STANDARD_INPUT, Source
from deepmark.shapes import UInt8
from deepmark.types import Detections
from deepmark.vocabulary import Category, Vocabulary

_TEXT = b"drawn by deepmark detect"
_COMMENT = b"\xff\xfe" + (len(_TEXT) + 2).to_bytes(2) + _TEXT
"""A segment of a JPEG file that holds a comment: marker, length with its own two bytes, text."""


def stems_of(images: Iterable[Source]) -> dict[Source, str]:
    """A name without ending for each image; they differ also where two folders hold files of the same name."""
    stems: dict[Source, str] = {}
    taken: set[str] = set()
    for image in images:
        own = stem_of(image)
        stem = next(name for name in chain([own], (f"{own}-{n}" for n in count(2))) if name.lower() not in taken)
        taken.add(stem.lower())  # some file systems take A.jpg and a.jpg for one name
        stems[image] = stem
    return stems


def stem_of(image: Source) -> str:
    """The name of an image without folder and ending; of a URL, the last part of its path."""
    if isinstance(image, Path):
        return image.stem
    if image == STANDARD_INPUT:
        return "standard-input"
    name = unquote(urlsplit(image).path).rstrip("/").rpartition("/")[2]
    return re.sub(r"[^\w.-]+", "-", Path(name).stem) or "image"


def is_own_image(file: Path) -> bool:
    """Whether the file is a drawing or a crop of `deepmark detect`, which says so in a JPEG comment."""
    if not file.is_file():
        return False
    with file.open("rb") as start:
        return _COMMENT in start.read(256)


def crops_in(folder: Path, stem: str, vocabulary: Vocabulary) -> list[Path]:
    """The files of a folder that have names of crops of this image."""
    if not folder.is_dir():
        return []
    crop = _crop_names(vocabulary)
    return [file for file in folder.iterdir() if file.name.startswith(stem) and crop.fullmatch(file.name[len(stem) :])]


@lru_cache(maxsize=1)
def _crop_names(vocabulary: Vocabulary) -> re.Pattern[str]:
    """What follows the name of the image in that of a crop."""
    return re.compile(rf"-\d{{2,}}-({'|'.join(re.escape(_slug(one)) for one in vocabulary.categories)})\.jpg")


def _slug(category: Category) -> str:
    return category.name.replace(" ", "-")


def save_jpeg(image: UInt8[np.ndarray, "h w 3"], path: Path) -> None:
    """Write an image that `is_own_image` knows, whole or not at all."""
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(image), 92)
    header = 4 + int.from_bytes(jpeg[4:6])  # up to the end of the first segment, JFIF's own
    with new_file(path) as draft:
        draft.write_bytes(jpeg[:header] + _COMMENT + jpeg[header:])


def save_crops(image: UInt8[np.ndarray, "h w 3"], detections: Detections, folder: Path, stem: str) -> int:
    """Write each garment as an image of its box, named by image, number and category; returns how many there are.

    The crops of an earlier run of this image are removed, and nothing else.
    """
    for old in crops_in(folder, stem, detections.vocabulary):
        if is_own_image(old):
            old.unlink()
    height, width = image.shape[:2]
    corners = np.concatenate([np.floor(detections.boxes[:, :2]), np.ceil(detections.boxes[:, 2:])], axis=1)
    limits = np.clip(corners, 0, [width, height, width, height]).astype(int).tolist()
    written = 0
    for number, (category, (x0, y0, x1, y1)) in enumerate(zip(detections.each_category, limits, strict=True), 1):
        if x1 > x0 and y1 > y0:
            save_jpeg(image[y0:y1, x0:x1], folder / f"{stem}-{number:02d}-{_slug(category)}.jpg")
            written += 1
    return written
