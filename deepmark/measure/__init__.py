"""Lengths and widths of detected garments along their landmarks, in pixels or centimetres, with intervals."""
