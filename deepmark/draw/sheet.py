"""Several images as one: a grid on white."""

import math
from collections.abc import Sequence

import numpy as np

from deepmark.draw.canvas import Image


def contact_sheet(images: Sequence[Image], columns: int, *, gap: int = 8) -> Image:
    """The images in a grid on white, each in the middle of a cell as large as the largest."""
    if not images or columns < 1:
        raise ValueError(f"a contact sheet of {len(images)} images in {columns} columns")
    columns = min(columns, len(images))
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    rows = math.ceil(len(images) / columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top = i // columns * (height + gap) + (height - image.shape[0]) // 2
        left = i % columns * (width + gap) + (width - image.shape[1]) // 2
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet
