"""The fields of a record that are plain numbers or strings; Parquet and JSON store them as they are."""

from dataclasses import fields

from deepmark.types import Garment, ImageRecord

PLAIN_GARMENT = tuple(field.name for field in fields(Garment) if field.name not in ("box", "landmarks", "polygons"))

PLAIN_RECORD = tuple(field.name for field in fields(ImageRecord) if field.name != "garments")
