"""COCO files: reading and writing data sets and results."""
