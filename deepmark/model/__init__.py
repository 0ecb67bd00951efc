"""Backbones, heads, the detector and its file, published weights."""
