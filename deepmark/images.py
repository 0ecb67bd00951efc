"""Images as people have them (files, bytes, PIL images, arrays), read as RGB pixels."""

import os
import warnings
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from deepmark.errors import DeepmarkError

ImageSource = str | os.PathLike[str] | bytes | Image.Image | np.ndarray
"""A path, the bytes of a file, a PIL image, or RGB pixels (height x width x 3, uint8)."""

MAX_PIXELS = 50_000_000
"""Larger images are refused by their header: a small file may unpack to gigabytes."""


def read_image(source: ImageSource, *, name: str = "the image") -> UInt8[np.ndarray, "h w 3"]:
    """The image as RGB, turned upright where its EXIF data says how the camera was held.

    `name` stands in error messages for an image that has no path.

    Raises DeepmarkError where the source is no image, is damaged, or has more than 50 million pixels.
    """
    if isinstance(source, np.ndarray):
        return _check_pixels(source, name)
    if isinstance(source, str | os.PathLike):
        name = str(source)
    elif not isinstance(source, bytes | Image.Image):
        raise DeepmarkError(
            f"{name}: an object of type {type(source).__name__}. Give a path, the bytes of an image file, a PIL image, "
            "or an RGB array."
        )
    try:
        with _opened(source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DeepmarkError(f"{name}: {image.width} x {image.height} pixels are too many; shrink it first.")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DeepmarkError(f"{name}: not a picture that can be read ({error}).") from None


def _opened(source: str | os.PathLike[str] | bytes | Image.Image) -> AbstractContextManager[Image.Image]:
    if isinstance(source, Image.Image):
        return nullcontext(source)  # the caller's, who may go on using it
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):  # MAX_PIXELS is stricter
        return Image.open(BytesIO(source) if isinstance(source, bytes) else Path(source))


def _check_pixels(pixels: np.ndarray, name: str) -> UInt8[np.ndarray, "h w 3"]:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise DeepmarkError(
            f"{name}: an array of {pixels.dtype} and shape {pixels.shape}; RGB pixels are uint8, height x width x 3."
        )
    return np.ascontiguousarray(pixels)
