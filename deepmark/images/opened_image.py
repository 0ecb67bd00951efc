"""Opens images from any source: the size is known at once, and a JPEG is decoded when its pixels are asked for."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import simplejpeg
from PIL import Image

from deepmark.errors import DeepmarkError
from deepmark.images import file_kinds
from deepmark.images.rgb import MIRRORED_X, MIRRORED_Y, PILLOW_ERRORS, TRANSPOSED, exif_orientation, to_rgb, upright
from deepmark.images.sources import BinaryFile, read_source
from deepmark.shapes import Float, UInt8

MAX_PIXELS = 50_000_000
"""Larger images are refused by their header: a small file may unpack to gigabytes."""

MOST_SCANS = 100
"""Progressive JPEGs have about 10. Each scan is a pass over the image, so thousands would take minutes."""

_FORMATS = {
    file_kinds.JPEG: "JPEG",
    file_kinds.PNG: "PNG",
    file_kinds.WEBP: "WEBP",
    file_kinds.GIF: "GIF",
    file_kinds.BMP: "BMP",
    file_kinds.TIFF: "TIFF",
    file_kinds.AVIF: "AVIF",
    file_kinds.JPEG_2000: "JPEG2000",
    file_kinds.PPM: "PPM",
}
"""The kinds of files that are read, with Pillow's names; Pillow would run other programs for a few of the rest."""

_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""Any marker of a JPEG but those that stand inside a scan."""

_SCAN, _END = 0xDA, 0xD9


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OpenedImage:
    """An image whose header was read and whose size is allowed. A JPEG is decoded when its pixels are asked for."""

    name: str
    """For messages: the path, or what the caller calls it."""

    kind: str
    """Such as "a JPEG", one of file_kinds; "pixels" for an array or a PIL image."""

    size: tuple[int, int]
    """Height and width of the upright image."""

    orientation: int = 1
    """EXIF's 1..8; `size` and pixels are turned upright already."""

    note: str = ""
    """A sentence about what was left out, or nothing."""

    content: bytes | UInt8[np.ndarray, "h w 3"]
    """The file of a JPEG as it is stored, or else upright RGB pixels."""

    def pixels(self) -> UInt8[np.ndarray, "h w 3"]:
        """The image in RGB, upright.

        Raises DeepmarkError where a JPEG is cut off or damaged.
        """
        return self.shrunk(1)[0]

    def shrunk(self, shrink: int) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "3 3"]]:
        """At least as many pixels as the sides divided by `shrink` (1, 2, 4 or 8), and the map from them to the image.

        Only JPEGs are decoded smaller. Raises DeepmarkError where a JPEG is cut off or damaged.
        """
        if not isinstance(self.content, bytes):
            return self.content, np.eye(3)
        try:
            stored = decode_jpeg(self.content, shrink=shrink)
        except ValueError as error:
            if re.search("premature end|corrupt", str(error), re.IGNORECASE):
                raise DeepmarkError(f"{self.name}: {_fault(self.content, error)}") from None
            shrink = 1
            with _damage_named(self.name, self.content), _open_file(self.content) as image:
                stored = np.asarray(to_rgb(image, self.name))
        pixels = upright(stored, self.orientation)
        # The last of the smaller pixels may reach over the border of the image; turned, it comes first.
        over_y, over_x = (shrink * small - full for small, full in zip(pixels.shape[:2], self.size, strict=True))
        left = over_x if self.orientation in MIRRORED_X else 0
        top = over_y if self.orientation in MIRRORED_Y else 0
        return pixels, np.array([[shrink, 0.0, -left], [0.0, shrink, -top], [0.0, 0.0, 1.0]])


ImageSource = str | os.PathLike[str] | bytes | BinaryFile | Image.Image | np.ndarray | OpenedImage
"""A path, an http or https URL, the bytes of a file, a file open for reading bytes, a PIL image, an array of uint8
(grey, height x width; RGB, height x width x 3; RGBA, height x width x 4), or an image opened before."""


def read_image(source: ImageSource, *, name: str = "the image") -> UInt8[np.ndarray, "h w 3"]:
    """The image in RGB, upright; `name` stands in error messages for an image that has no path.

    Raises DeepmarkError where the source is no image, is cut off or damaged, or is too large.
    """
    return open_image(source, name=name).pixels()


def open_image(source: ImageSource, *, name: str = "the image", max_pixels: float = MAX_PIXELS) -> OpenedImage:
    """The image with its size; `name` stands in error messages for an image that has no path.

    Raises DeepmarkError where the source is no image, too large or damaged. Of a JPEG only the header is checked.
    """
    if isinstance(source, OpenedImage):
        return source
    if isinstance(source, np.ndarray):
        return _open_array(source, name, max_pixels)
    if isinstance(source, Image.Image):
        with _damage_named(name, None):
            return _open_pil(source, name, "pixels", max_pixels)
    if isinstance(source, str | os.PathLike):
        name = str(source)
    if isinstance(source, str | os.PathLike | BinaryFile):
        source = read_source(source, name)
    if not isinstance(source, bytes | bytearray | memoryview):
        raise DeepmarkError(
            f"{name}: an object of type {type(source).__name__}. Give a path, a URL, the bytes of an image file, "
            "a file open for reading bytes, a PIL image, or an array."
        )
    data = bytes(source)
    kind = file_kinds.kind_of(data)
    if kind not in _FORMATS:
        *others, last = (each.split(maxsplit=1)[1] for each in _FORMATS)
        raise DeepmarkError(f"{name}: {kind}, not a {', '.join(others)} or {last} image.")
    with _damage_named(name, data), _open_file(data) as image:
        return _open_pil(image, name, kind, max_pixels, data)


def decode_jpeg(data: bytes, *, shrink: int = 1) -> UInt8[np.ndarray, "h w 3"]:
    """The image in RGB as it is stored; its sides are divided by `shrink` (1, 2, 4 or 8) and rounded up.

    Raises ValueError where the bytes are not an intact JPEG.
    """
    if shrink == 1:
        return simplejpeg.decode_jpeg(data, "RGB")
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    return simplejpeg.decode_jpeg(data, "RGB", min_height=-(-height // shrink), min_width=-(-width // shrink))


def has_too_many_scans(jpeg: bytes) -> bool:
    """Whether a JPEG has more than MOST_SCANS; those of a thumbnail in it, or of what follows its end, do not count."""
    if jpeg.count(b"\xff\xda") <= MOST_SCANS:  # a tenth of the time
        return False
    scans, place = 0, 2
    while (marker := _MARKER.search(jpeg, place)) and marker[1][0] != _END:
        scans += marker[1][0] == _SCAN
        place = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return scans > MOST_SCANS


def _open_file(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data), formats=[_FORMATS[file_kinds.kind_of(data)]])


def _open_array(pixels: np.ndarray, name: str, max_pixels: float) -> OpenedImage:
    height, width, *channels = pixels.shape if pixels.ndim in (2, 3) else (0, 0, 0)
    if pixels.dtype != np.uint8 or channels not in ([], [1], [3], [4]) or not pixels.size:
        raise DeepmarkError(
            f"{name}: an array of {pixels.dtype} and shape {pixels.shape}. Give uint8, 0 to 255: grey "
            "(height x width), RGB (height x width x 3) or RGBA (height x width x 4)."
        )
    _check_size((width, height), name, max_pixels)
    if channels != [3]:
        pixels = np.asarray(to_rgb(Image.fromarray(pixels[..., 0] if channels == [1] else pixels), name))
    return OpenedImage(name=name, kind="pixels", size=(height, width), content=np.ascontiguousarray(pixels))


def _open_pil(image: Image.Image, name: str, kind: str, max_pixels: float, data: bytes = b"") -> OpenedImage:
    _check_size(image.size, name, max_pixels)
    note = ""
    if data and image.format != "MPO" and getattr(image, "is_animated", False):  # phones add depth to JPEGs as MPO
        note = "it has several frames or pages, and the first one is used"
    if kind == file_kinds.JPEG and image.mode in ("L", "RGB"):  # the others are CMYK
        if has_too_many_scans(data):
            raise DeepmarkError(f"{name}: a JPEG of more than {MOST_SCANS} scans. Save it anew.")
        orientation = exif_orientation(image)
        size = image.size if orientation in TRANSPOSED else image.size[::-1]
        return OpenedImage(name=name, kind=kind, size=size, orientation=orientation, note=note, content=data)
    stored = np.asarray(to_rgb(image, name))
    orientation = exif_orientation(image)  # after loading: Pillow turns TIFF and AVIF itself
    pixels = upright(stored, orientation)
    height, width, _ = pixels.shape
    return OpenedImage(name=name, kind=kind, size=(height, width), orientation=orientation, note=note, content=pixels)


def _check_size(size: tuple[int, int], name: str, max_pixels: float) -> None:
    width, height = size
    if width * height > max_pixels:
        raise DeepmarkError(
            f"{name}: {width} x {height} pixels are too many, for {max_pixels / 1e6:g} megapixels are allowed. "
            "Shrink it first."
        )
    if not width * height:
        raise DeepmarkError(f"{name}: an image without pixels ({width} x {height}).")


@contextmanager
def _damage_named(name: str, data: bytes | None) -> Iterator[None]:
    """What Pillow raises becomes a DeepmarkError; its warnings are about metadata, and are not shown."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    except Image.DecompressionBombError as error:
        counted = re.search(r"\((\d+) pixels\)", str(error))
        count = f"{int(counted[1]) / 1e6:,.0f} megapixels" if counted else "far more"
        raise DeepmarkError(
            f"{name}: too many pixels: {count}, where {MAX_PIXELS / 1e6:g} megapixels are allowed. Shrink it first."
        ) from None
    except PILLOW_ERRORS as error:
        raise DeepmarkError(f"{name}: {_fault(data, error)}") from None


def _fault(data: bytes | None, error: Exception) -> str:
    if data is None:
        return f"the PIL image cannot be loaded ({error}). Its file is cut off or damaged, or was closed."
    kind = file_kinds.kind_of(data)
    if file_kinds.is_cut(data) or re.search("truncat|premature end of jpeg", str(error), re.IGNORECASE):
        return f"{kind} that is cut off. Copy or save it again."
    detail = "" if "BytesIO" in str(error) else f" ({error})"
    return f"{kind} that is damaged, or of an uncommon kind{detail}. Save it anew, as a JPEG or PNG."
