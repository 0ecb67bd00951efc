"""Drawn pictures of clothes in DeepFashion2's own files, for everyone who has not got DeepFashion2.

A picture is made as a stylist would make it: `wardrobe` decides what goes together, `tailor` cuts each garment from the
landmark figure of its category, `doll` dresses a figure, `camera` looks at it, `picture` paints it on a `backdrop`, and
`annotate` writes down where everything ended. Lengths before the camera are in shoulder widths.
"""

from deepmark.synthetic.dataset import draw_dataset

__all__ = ["draw_dataset"]
