"""The pixels of a Pillow image as RGB of 8 bits: depth, transparency and colour model; and EXIF's orientation."""

import struct

import numpy as np
from PIL import Image

from deepmark.errors import DeepmarkError
from deepmark.shapes import UInt8

TRANSPOSED, MIRRORED_X, MIRRORED_Y = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)
"""EXIF orientations of stored images whose axes are to be swapped, and that are then to be mirrored."""

PILLOW_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, RuntimeError, ArithmeticError, struct.error),
)
"""What Pillow raises for damaged files."""


def to_rgb(image: Image.Image, name: str) -> Image.Image:
    """The image in RGB, as it is stored; transparent pixels show a white ground, and colour profiles are not applied.

    Raises DeepmarkError for 32 bits a pixel and for floating-point numbers, and what Pillow raises for damaged files.
    """
    image.load()
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):  # those two have 16 bits
        raise DeepmarkError(
            f"{name}: has 32 bits a pixel (Pillow's mode {image.mode}), which do not tell what is white. "
            "Save it with 8 or 16 bits."
        )
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        grey = ((wide + 128) // 257).astype(np.uint8)
        grey[wide == image.info.get("transparency", -1)] = 255
        image = Image.fromarray(grey)
    if image.has_transparency_data:
        layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), layer)
    if image.mode == "LAB":
        from PIL import ImageCms

        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
        assert converted is not None  # it is None only where the image itself is changed
        return converted
    return image.convert("RGB")


def exif_orientation(image: Image.Image) -> int:
    """How a camera was held, 1 to 8; 1, upright, where the image does not say it or its EXIF data is damaged."""
    try:
        value = image.getexif().get(0x0112)
    except PILLOW_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(stored: UInt8[np.ndarray, "h w 3"], orientation: int) -> UInt8[np.ndarray, "H W 3"]:
    """The pixels after they are turned or mirrored as EXIF's orientation says."""
    pixels = stored.swapaxes(0, 1) if orientation in TRANSPOSED else stored
    pixels = pixels[:, ::-1] if orientation in MIRRORED_X else pixels
    return np.ascontiguousarray(pixels[::-1] if orientation in MIRRORED_Y else pixels)
