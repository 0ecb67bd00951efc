"""Draws images of clothes in the file format of DeepFashion2, for people who do not have the data set.

`outfit` chooses garments that are worn together and designs them, `garment_shape` computes their landmarks from the
landmark figure of their category, `body` draws the wearer, `camera` projects everything into the image, `scene` paints
it before a `background`, and `annotate` writes the annotation. Lengths before the camera are in shoulder widths.
"""

from deepmark.synthetic.dataset import draw_dataset

__all__ = ["draw_dataset"]
