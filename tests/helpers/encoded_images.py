"""Small images as files of any kind."""

from io import BytesIO

import numpy as np
from PIL import Image

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def noise(size=(6, 8), *, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, channels), np.uint8)


def smooth(size=(90, 130)):
    """An image that survives JPEG compression, and of which no turned copy looks like another."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([x * 255 / size[1], y * 255 / size[0], 255 * (x + y > size[0])], axis=2).astype(np.uint8)


def encoded(image, kind="png", **options):
    buffer = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def with_orientation(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif
