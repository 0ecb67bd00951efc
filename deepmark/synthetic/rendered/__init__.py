"""Renders images of clothes, on bodies or alone, with the extra synth3d."""
