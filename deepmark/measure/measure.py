"""Lengths along the landmarks of detected garments, each with its interval of 95%."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.measure.precision import Precision
from deepmark.measure.scale import Scale
from deepmark.measure.table import Measurement, Table
from deepmark.shapes import Float64
from deepmark.types import Detections
from deepmark.vocabulary import Category

_NORMAL_95 = 1.959964
"""Standard deviations from the middle of a normal distribution to the end of its middle 95%."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """One measurement of one garment."""

    name: str
    value: float
    low: float
    high: float
    """The interval of 95%, in units of the scale; never below 0."""

    unit: str
    """px or cm."""

    landmarks: tuple[str, ...]
    """The names along the path."""

    hidden: tuple[str, ...]
    """Those that no peak placed: the detector saw nothing there, and gives a coarse position."""

    points: Float64[np.ndarray, "k 2"]
    """The path, pixels of the image."""

    def as_dict(self) -> dict[str, Any]:
        names = ("value", "low", "high", "unit", "landmarks", "hidden")
        return {name: list(value) if isinstance(value := getattr(self, name), tuple) else value for name in names}


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredGarment:
    """One garment and its measurements, in the order of the table."""

    category: Category
    score: float
    box: Float64[np.ndarray, "4"]
    """x0 y0 x1 y1, pixels of the image."""

    lengths: tuple[Length, ...]

    def as_dict(self) -> dict[str, Any]:
        lengths = {length.name: length.as_dict() for length in self.lengths}
        return {"category": self.category.name, "score": self.score, "box": self.box.tolist(), "measurements": lengths}


def measure(detections: Detections, table: Table, precision: Precision, scale: Scale) -> list[MeasuredGarment]:
    """The measurements of every detected garment, best first.

    An interval holds the errors of the landmarks, independent of each other, and that of the scale, to first order. It
    holds no tilt, fold or stretch of the garment: the lengths are those in the plane of the image.

    Raises DeepmarkError where the table or the precision was read for another vocabulary than that of the detections.
    """
    garments = []
    for category, box, score, points, scores in zip(
        detections.each_category,
        detections.boxes.astype(np.float64),
        detections.scores.tolist(),
        detections.landmarks.astype(np.float64),
        detections.landmark_scores.astype(np.float64),
        strict=True,
    ):
        if category.name not in table or category.name not in precision.errors:
            raise DeepmarkError(
                f'measure: the table or the precision does not know the category "{category.name}". Read both for the '
                f"vocabulary of the detector, {detections.vocabulary.name}."
            )
        own = slice(0, category.landmarks)
        spread = precision.spread(category, box, scores[own])
        lengths = [_length(category, one, points[own], scores[own], spread, scale) for one in table[category.name]]
        garments.append(MeasuredGarment(category=category, score=score, box=box, lengths=tuple(lengths)))
    return garments


def path_length(points: Float64[np.ndarray, "k 2"]) -> float:
    """The length of the line that joins the points, in their unit."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _length(
    category: Category,
    measurement: Measurement,
    points: Float64[np.ndarray, "n 2"],
    scores: Float64[np.ndarray, " n"],
    spread: Float64[np.ndarray, " n"],
    scale: Scale,
) -> Length:
    path = list(measurement.landmarks)
    pixels = path_length(points[path])
    error = np.hypot(_error(points[path], spread[path]), pixels * scale.relative_error)
    low, high = max(0.0, pixels - _NORMAL_95 * error), pixels + _NORMAL_95 * error
    return Length(
        name=measurement.name,
        value=pixels / scale.pixels_per_unit,
        low=float(low / scale.pixels_per_unit),
        high=float(high / scale.pixels_per_unit),
        unit=scale.unit,
        landmarks=tuple(category.parts[landmark] for landmark in path),
        hidden=tuple(category.parts[landmark] for landmark in path if scores[landmark] <= 0),
        points=points[path],
    )


def _error(points: Float64[np.ndarray, "k 2"], spread: Float64[np.ndarray, " k"]) -> float:
    """The standard deviation of the path's length, of those of its points along each axis; pixels.

    The length changes with a point by the difference of the unit vectors of the pieces before and after it.
    """
    pieces = np.diff(points, axis=0)
    along = pieces / np.maximum(np.linalg.norm(pieces, axis=1, keepdims=True), 1e-9)
    gradient = np.zeros_like(points)
    gradient[1:] += along
    gradient[:-1] -= along
    return float(np.sqrt(((gradient**2).sum(axis=1) * spread**2).sum()))
