"""What the pixels of an image are: the one place that reads images as people have them.

`deepmark detect`, the served model, Python and the import of other data sets all read images here, so one image has the
same pixels everywhere:

- It is turned upright where its EXIF data says how the camera was held.
- 16-bit values are scaled by their range; 32-bit and floating-point images are refused, for their white is not known.
- Transparent pixels show a white ground.
- CMYK, LAB, YCbCr, HSV, palettes, grey and black and white become RGB. Colour profiles are not applied.
- Arrays are uint8: grey, RGB or RGBA. Others are refused, for their white or their order of colours is not known.
- http and https URLs are downloaded, limited in bytes, time and redirects.
- Of several frames or pages the first one counts, and `OpenedImage.note` says so.
- A file that is cut off or damaged is refused, however much of it can be seen. JPEG has no checksum, so a flipped bit
  in one may remain unnoticed.

Sizes are limited, and checked in the header before anything is decoded.
"""

from deepmark.images.opened_image import (
    MAX_PIXELS,
    MOST_SCANS,
    ImageSource,
    OpenedImage,
    decode_jpeg,
    has_too_many_scans,
    open_image,
    read_image,
)
from deepmark.images.sources import MAX_BYTES, BinaryFile, is_url

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MOST_SCANS",
    "BinaryFile",
    "ImageSource",
    "OpenedImage",
    "decode_jpeg",
    "has_too_many_scans",
    "is_url",
    "open_image",
    "read_image",
]
