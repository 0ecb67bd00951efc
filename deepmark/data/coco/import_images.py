"""The images of a COCO data set: each is compared with what the file says of it, then linked, or written as a JPEG."""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import simplejpeg

from deepmark.data.coco.dataset import CocoDataset, is_whole
from deepmark.data.ingest.strict_json import short_repr
from deepmark.errors import DeepmarkError
from deepmark.images import OpenedImage, decode_jpeg, open_image
from deepmark.images.file_kinds import JPEG
from deepmark.images.rgb import TRANSPOSED, upright
from deepmark.schema import Frame

QUALITY = 95
"""Of the JPEGs that are written for images that cannot be linked."""

_BACK = {6: 8, 8: 6}
"""The orientations that undo others; the rest undo themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceImage:
    """An image with items."""

    path: Path
    number: int
    """In its new name."""

    size: tuple[int, int]
    """(height, width), as the data set says."""


def _fail(dataset: CocoDataset, place: int, fault: str, remedy: str) -> NoReturn:
    image = dataset.images[place]
    name = short_repr(image.get("file_name"))
    raise DeepmarkError(f"{dataset.path}: images[{place}] (id {image['id']}, {name}): {fault}. {remedy}")


def _check_fields(dataset: CocoDataset) -> None:
    """Raise DeepmarkError unless every image has an id of its own, a name and a size."""
    first: dict[int, Any] = {}
    for place, image in enumerate(dataset.images):
        if not isinstance(image.get("file_name"), str) or not image["file_name"]:
            _fail(dataset, place, "has no 'file_name'", "Every image needs one.")
        if image["id"] in first:
            other = short_repr(first[image["id"]])
            _fail(dataset, place, f"{other} has the same id", "Every image needs an id of its own.")
        first[image["id"]] = image["file_name"]
        for side in ("width", "height"):
            if not is_whole(image.get(side)) or not image[side]:
                _fail(
                    dataset,
                    place,
                    f"'{side}' should be a whole number of pixels, found {short_repr(image.get(side))}",
                    "By its size an image is compared with its labels: write it.",
                )


def _identity(path: Path) -> Any:
    """The same for two spellings of one file, also on a disk that does not tell upper case from lower case."""
    status = path.stat()
    return (status.st_dev, status.st_ino) if status.st_nlink == 1 else path.resolve()


def bytes_to_copy(files: Iterable[Path], out: Path) -> int:
    """A low estimate of what the JPEGs among the files take beside `out`: nothing where they can be linked."""
    device = next(folder for folder in out.absolute().parents if folder.exists()).stat().st_dev
    jpegs = (file.stat() for file in files if file.suffix.lower() in (".jpg", ".jpeg"))
    return sum(status.st_size for status in jpegs if status.st_dev != device)


def image_files(dataset: CocoDataset, folder: Path) -> list[Path]:
    """The file of each image of the data set, in its order.

    Raises DeepmarkError unless every image has an id, a name, a size, and a file of its own.
    """
    _check_fields(dataset)
    paths = [folder / image["file_name"] for image in dataset.images]
    missing = [path for path in paths if not os.path.isfile(path)]  # noqa: PTH113 - a Path would raise for odd names
    if missing:
        raise DeepmarkError(
            f"{missing[0]}: is not there, or no file; {len(missing)} of the {len(paths)} images that {dataset.path} "
            "names are missing. Give their folder with --images."
        )
    first: dict[Any, int] = {}
    for place, path in enumerate(paths):
        other = first.setdefault(_identity(path), place)
        if other != place:
            image = dataset.images[other]
            _fail(
                dataset,
                place,
                f"is the file of id {image['id']} ({short_repr(image['file_name'])}) too",
                "Each of the two would lack the other's items: give all items of an image the same image_id.",
            )
    return paths


def _labelled_frame(image: OpenedImage, labelled: tuple[int, int], truth: Path, frame: Frame | None) -> Frame:
    """What the labels of an image refer to, by the (height, width) that the data set gives.

    Raises DeepmarkError where that is no size of the image, or does not tell and `frame` is None.
    """
    swapped = image.size[::-1] if image.orientation in TRANSPOSED else image.size
    if labelled not in (image.size, swapped):
        (height, width), (high, wide) = image.size, swapped
        stored = f" ({wide} x {high} as stored, before its EXIF data turns it)" if swapped != image.size else ""
        raise DeepmarkError(
            f"{image.name}: has {width} x {height} pixels{stored}, and {truth} says {labelled[1]} x {labelled[0]}. "
            "Labels fit the size that they were made for: give those images, or the file that was made for these."
        )
    if image.orientation == 1:
        return Frame.UPRIGHT
    if swapped != image.size:
        return Frame.UPRIGHT if labelled == image.size else Frame.STORED
    if frame is None:
        raise DeepmarkError(
            f"{image.name}: its EXIF data says to turn or mirror it (orientation {image.orientation}), and its size "
            "does not tell whether its labels refer to the pixels as stored or to the upright image. Say which with "
            "--orientation."
        )
    return frame


def _stored(image: OpenedImage) -> np.ndarray:
    if isinstance(image.content, bytes):
        return decode_jpeg(image.content)
    return upright(image.content, _BACK.get(image.orientation, image.orientation))


def place_images(images: Sequence[SourceImage], folder: Path, truth: Path, *, frame: Frame | None) -> list[str]:
    """Link images to their new names in `folder`, or write them there as JPEGs; returns why, or "" for each link.

    `truth` is the file of the data set. `frame` decides what labels refer to where EXIF data turns an image and its
    size does not tell. Raises DeepmarkError where a file is no image, is damaged, or has another size.
    """
    return [_place(image, folder / f"{image.number:06d}.jpg", truth, frame) for image in images]


def _place(source: SourceImage, target: Path, truth: Path, frame: Frame | None) -> str:
    image = open_image(source.path)
    meant = _labelled_frame(image, source.size, truth, frame)
    plain = image.kind == JPEG and isinstance(image.content, bytes)
    reasons = [] if plain else ["CMYK JPEG" if image.kind == JPEG else image.kind.split(maxsplit=1)[1]]
    if image.orientation != 1:
        reasons.append(f"orientation {image.orientation}, labels {meant}")
    if not reasons:
        link_or_copy(source.path, target)
        return ""
    try:
        pixels = image.pixels() if meant is Frame.UPRIGHT else _stored(image)
    except ValueError as error:
        raise DeepmarkError(f"{source.path}: is not an intact JPEG ({error}). Copy or save it again.") from None
    target.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=QUALITY, colorspace="RGB"))
    return ", ".join(reasons + [image.note] * bool(image.note))


def link_or_copy(image: Path, target: Path) -> None:
    """Give the image its new name, without a second copy if the file system supports links."""
    try:
        os.link(image.resolve(), target)
    except OSError:
        shutil.copyfile(image, target)
