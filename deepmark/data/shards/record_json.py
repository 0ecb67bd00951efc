"""A record as one line of JSON, without loss of digits; the same record always gives the same bytes.

Landmarks (x, y, v, …) and polygons (x, y, …) are flat lists, as in the raw files: lists of points would take twice as
long to read.
"""

import json
from typing import Any

import numpy as np

from deepmark.data.record_fields import PLAIN_GARMENT, PLAIN_RECORD
from deepmark.types import Garment, ImageRecord


def _garment_to_dict(garment: Garment) -> dict[str, Any]:
    return {
        **{name: getattr(garment, name) for name in PLAIN_GARMENT},
        "box": garment.box.tolist(),
        "landmarks": garment.landmarks.ravel().tolist(),
        "polygons": [polygon.ravel().tolist() for polygon in garment.polygons],
    }


def _garment_from_dict(values: dict[str, Any]) -> Garment:
    return Garment(
        **{name: values[name] for name in PLAIN_GARMENT},
        box=np.array(values["box"], np.float64),
        landmarks=np.array(values["landmarks"], np.float64).reshape(-1, 3),
        polygons=tuple(np.array(polygon, np.float64).reshape(-1, 2) for polygon in values["polygons"]),
    )


def record_to_json(record: ImageRecord) -> bytes:
    """The record in UTF-8; `record_from_json` restores it exactly."""
    values = {
        **{name: getattr(record, name) for name in PLAIN_RECORD},
        "garments": [_garment_to_dict(garment) for garment in record.garments],
    }
    return json.dumps(values, separators=(",", ":"), allow_nan=False).encode()


def record_from_json(text: bytes) -> ImageRecord:
    """The record in the text.

    Raises ValueError, KeyError or TypeError where the text is not a record.
    """
    values = json.loads(text)
    garments = tuple(_garment_from_dict(garment) for garment in values["garments"])
    return ImageRecord(**{name: values[name] for name in PLAIN_RECORD}, garments=garments)
