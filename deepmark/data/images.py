"""JPEG bytes to pixels, no larger than needed."""

import numpy as np
import simplejpeg
from jaxtyping import UInt8


def decode_jpeg(data: bytes, *, at_least: tuple[float, float] = (0, 0)) -> UInt8[np.ndarray, "h w 3"]:
    """The picture in RGB, at the smallest eighth of its size that still has `at_least` (height, width) pixels.

    Shrinking happens in the JPEG transform, for half the time of decoding everything.
    (0, 0) gives every pixel.

    Raises ValueError where the bytes are not a JPEG.
    """
    height, width = (int(np.ceil(side)) for side in at_least)
    return simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width)
