"""Renders images of dressed bodies, with the extra synth3d."""
