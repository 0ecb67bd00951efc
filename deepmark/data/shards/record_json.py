"""A record as JSON: one line, every digit kept, the same bytes for the same record.

Landmarks (x, y, v, …) and polygons (x, y, …) are flat lists, as in the raw files: they take half as long to read as
lists of points.
"""

import json
from dataclasses import fields
from typing import Any

import numpy as np

from deepmark.types import Garment, ImageRecord

_PLAIN_GARMENT = tuple(field.name for field in fields(Garment) if field.name not in ("box", "landmarks", "polygons"))
_PLAIN_RECORD = tuple(field.name for field in fields(ImageRecord) if field.name != "garments")


def _garment_to_dict(garment: Garment) -> dict[str, Any]:
    return {
        **{name: getattr(garment, name) for name in _PLAIN_GARMENT},
        "box": garment.box.tolist(),
        "landmarks": garment.landmarks.ravel().tolist(),
        "polygons": [polygon.ravel().tolist() for polygon in garment.polygons],
    }


def _garment_from_dict(values: dict[str, Any]) -> Garment:
    return Garment(
        **{name: values[name] for name in _PLAIN_GARMENT},
        box=np.array(values["box"], np.float64),
        landmarks=np.array(values["landmarks"], np.float64).reshape(-1, 3),
        polygons=tuple(np.array(polygon, np.float64).reshape(-1, 2) for polygon in values["polygons"]),
    )


def record_to_json(record: ImageRecord) -> bytes:
    """The record in UTF-8; `record_from_json` gives it back exactly."""
    values = {
        **{name: getattr(record, name) for name in _PLAIN_RECORD},
        "garments": [_garment_to_dict(garment) for garment in record.garments],
    }
    return json.dumps(values, separators=(",", ":"), allow_nan=False).encode()


def record_from_json(text: bytes) -> ImageRecord:
    """The record that was written.

    Raises ValueError, KeyError or TypeError where the text is something else.
    """
    values = json.loads(text)
    garments = tuple(_garment_from_dict(garment) for garment in values["garments"])
    return ImageRecord(**{name: values[name] for name in _PLAIN_RECORD}, garments=garments)
