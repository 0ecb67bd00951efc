"""From pixels to centimetres: by a number, by a known length in the image, or by an ArUco marker of known side."""

import math
import re
from dataclasses import dataclass

import numpy as np

from deepmark.errors import DeepmarkError, nearest
from deepmark.shapes import Float64, UInt8

_CENTIMETRES = {"mm": 0.1, "cm": 1.0, "m": 100.0, "in": 2.54}

_KNOWN_LENGTH = re.compile(r"([^=]*)=\s*([\d.]+)\s*([a-z]+)\s*")

_POINT_ERROR = 1.0
"""Pixels; standard deviation of a point that a person reads off an image, along one axis."""

_CORNER_ERROR = 0.25
"""The same of a marker's corner after refinement."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How long a pixel is."""

    unit: str = "px"
    pixels_per_unit: float = 1.0
    relative_error: float = 0.0
    """Standard deviation of `pixels_per_unit` as a share of it."""

    reference: str = "pixels"
    """Where it comes from, for people."""


def by_number(pixels_per_cm: float) -> Scale:
    """Raises DeepmarkError where the number is not above 0."""
    if not (math.isfinite(pixels_per_cm) and pixels_per_cm > 0):
        raise DeepmarkError(f"--pixels-per-cm {pixels_per_cm:g}: give a number above 0.")
    return Scale(unit="cm", pixels_per_unit=pixels_per_cm, reference=f"{pixels_per_cm:g} pixels a centimetre, as given")


def by_known_length(text: str) -> Scale:
    """The scale of `x0,y0,x1,y1=30cm`: two points of the image, in pixels, and their distance (mm, cm, m, in).

    Raises DeepmarkError for any other text, and for points that are no two.
    """
    match = _KNOWN_LENGTH.fullmatch(text)
    try:
        assert match is not None
        x0, y0, x1, y1 = map(float, match[1].split(","))
        length = float(match[2]) * _CENTIMETRES[match[3]]
    except (AssertionError, KeyError, ValueError):
        raise DeepmarkError(
            f"--scale {text}: expected two points in pixels and their distance, such as 120,80,620,80=30cm "
            f"({', '.join(_CENTIMETRES)})."
        ) from None
    pixels = math.hypot(x1 - x0, y1 - y0)
    if not (math.isfinite(pixels) and pixels >= 1 and length > 0):
        raise DeepmarkError(f"--scale {text}: the two points must be a pixel or more apart, and the length above 0.")
    return Scale(
        unit="cm",
        pixels_per_unit=pixels / length,
        relative_error=math.sqrt(2) * _POINT_ERROR / pixels,
        reference=f"{pixels:.1f} pixels are {match[2]} {match[3]}, as given",
    )


def marker_dictionaries() -> dict[str, int]:
    """OpenCV's dictionaries of ArUco markers by name, such as "4X4_50"."""
    from cv2 import aruco

    return {name[5:]: getattr(aruco, name) for name in dir(aruco) if name.startswith("DICT_")}


def check_marker(side_cm: float, dictionary: str) -> None:
    """Raise DeepmarkError where there is no such dictionary, or the side is not above 0."""
    if not (math.isfinite(side_cm) and side_cm > 0):
        raise DeepmarkError(f"--marker-cm {side_cm:g}: give the side of the marker's black square, above 0.")
    if dictionary not in marker_dictionaries():
        raise DeepmarkError(
            f"--dictionary {dictionary}: OpenCV has no such markers. {nearest(dictionary, marker_dictionaries())}"
        )


def by_marker(image: UInt8[np.ndarray, "h w 3"], side_cm: float, dictionary: str, *, name: str) -> Scale:
    """The scale by the ArUco markers in an RGB image: the mean of their sides, which lie in the garment's plane.

    The relative error is the spread of the sides, which a marker that is seen at an angle has, or that of its corners.

    Raises DeepmarkError where no marker is found; `name` is that of the image.
    """
    from cv2 import aruco

    settings = aruco.DetectorParameters()
    settings.cornerRefinementMethod = aruco.CORNER_REFINE_SUBPIX
    markers = aruco.getPredefinedDictionary(marker_dictionaries()[dictionary])
    corners, ids, _ = aruco.ArucoDetector(markers, settings).detectMarkers(np.ascontiguousarray(image[:, :, ::-1]))
    if ids is None:
        raise DeepmarkError(
            f"{name}: no ArUco marker of the dictionary {dictionary} is found. Lay one beside the garment, flat and "
            "whole with its white border, or name its dictionary with --dictionary."
        )
    sides = np.concatenate([_sides(quad.reshape(4, 2).astype(np.float64)) for quad in corners])
    mean = float(sides.mean())
    error = max(float(sides.std()) / mean, math.sqrt(2 / len(sides)) * _CORNER_ERROR / mean)
    return Scale(
        unit="cm",
        pixels_per_unit=mean / side_cm,
        relative_error=error,
        reference=f"{len(corners)} ArUco marker{'s' * (len(corners) > 1)} of {side_cm:g} cm, {mean:.1f} pixels wide",
    )


def _sides(quad: Float64[np.ndarray, "4 2"]) -> Float64[np.ndarray, "4"]:
    return np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
