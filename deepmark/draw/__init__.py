"""Draws garments on images: outline, landmarks, box, name and score, and a legend. It needs NumPy and Pillow only."""

from deepmark.draw.canvas import SMALLEST, Image
from deepmark.draw.garments import PALETTE, Drawn, draw, draw_detections, draw_truth
from deepmark.draw.sheet import contact_sheet

__all__ = ["PALETTE", "SMALLEST", "Drawn", "Image", "contact_sheet", "draw", "draw_detections", "draw_truth"]
