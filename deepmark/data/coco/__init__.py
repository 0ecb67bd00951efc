"""Reads and writes COCO files: data sets and results."""
