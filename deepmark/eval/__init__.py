"""The official metric, the analysis of errors, and the scores of anyone's COCO files."""
