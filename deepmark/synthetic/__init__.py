"""Draws images of clothes in the file format of DeepFashion2, for people who do not have the data set.

`outfit` chooses garments that are worn together and designs them, `garment_shape` computes their landmarks from the
landmark figure of their category, `body` draws the wearer, `camera` projects everything into the image, `scene` paints
it before a `background`, and `annotate` writes the annotation. Lengths before the camera are in shoulder widths. `clip`
draws the frames of a video in the same way.
"""

from deepmark.synthetic.clip_files import draw_clip_files
from deepmark.synthetic.dataset import draw_dataset

__all__ = ["draw_clip_files", "draw_dataset"]
