"""The values that modules hand to each other, from the validated record to the detections.

Plain NumPy, so that nothing before the network needs torch; the network's own output is `HeadMaps` in model/heads.py.
Coordinates are continuous, (0, 0) is the outer corner of the first pixel, boxes are x0 y0 x1 y1 (see geometry.py).
"""

from deepmark.types.detections import COLUMNS, Detections, Prediction
from deepmark.types.records import Garment, GarmentColumns, ImageRecord, Sample, garment_columns
from deepmark.types.rows import Rows

__all__ = [
    "COLUMNS",
    "Detections",
    "Garment",
    "GarmentColumns",
    "ImageRecord",
    "Prediction",
    "Rows",
    "Sample",
    "garment_columns",
]
