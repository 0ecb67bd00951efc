"""Backbones, heads, the detector and its file, and the import of published weights."""
