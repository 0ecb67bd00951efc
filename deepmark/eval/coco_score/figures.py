"""The official figures, 12 for boxes and 10 for landmarks, from arrays of precision and recall.

Source: COCO's evaluation, whose arrays have axes overlap .50:.05:.95, (recall 0:.01:1,) category, range of areas and
largest number of results per image and category.
"""

from dataclasses import dataclass

import numpy as np

from deepmark.schema import Kind
from deepmark.shapes import Float

AREAS: dict[str, tuple[str, ...]] = {
    Kind.BBOX: ("all", "small", "medium", "large"),
    Kind.KEYPOINTS: ("all", "medium", "large"),
}
"""Ranges of areas in the order of the arrays: small is below 32 * 32 pixels, large is above 96 * 96."""

RESULT_LIMITS: dict[str, tuple[int, ...]] = {Kind.BBOX: (1, 10, 100), Kind.KEYPOINTS: (20,)}
"""The numbers of results that count per image and category, best first, in the order of the arrays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Precision and recall of results against a data set; -1 where nothing is labelled."""

    precision: Float[np.ndarray, "10 101 k a m"]
    recall: Float[np.ndarray, "10 k a m"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One official figure: a mean over a part of the arrays."""

    name: str
    """"AP50", "AR_medium"."""

    meaning: str
    overlap: int | None = None
    """Index of the overlap; None for the mean over all ten."""

    area: str = "all"
    most: int = -1
    """Index of the limit of results."""

    def of(self, curves: Curves, categories: slice = slice(None)) -> float:
        """Its value over some categories, 0..1, or COCO's -1 if nothing of them is labelled."""
        values = curves.precision if self.name.startswith("AP") else curves.recall
        area = 0 if self.area == "all" else values.shape[-2] - ("large", "medium", "small").index(self.area) - 1
        values = values[..., categories, area, self.most]
        if self.overlap is not None:
            values = values[self.overlap]
        values = values[values > -1]
        return float(values.mean()) if values.size else -1.0


def _by_area(name: str, areas: tuple[str, ...]) -> tuple[Figure, ...]:
    return tuple(Figure(f"{name}_{area}", f"{name}, {area} items", area=area) for area in areas)


_PRECISION = (
    Figure("AP", "average precision, mean over overlaps .50:.05:.95"),
    Figure("AP50", "AP at overlap .50", 0),
    Figure("AP75", "AP at overlap .75", 5),
)

FIGURES: dict[str, tuple[Figure, ...]] = {
    "bbox": (
        *_PRECISION,
        *_by_area("AP", AREAS["bbox"][1:]),
        Figure("AR_at_1", "average recall, 1 result an image and category", most=0),
        Figure("AR_at_10", "AR, 10 results", most=1),
        Figure("AR_at_100", "AR, 100 results", most=2),
        *_by_area("AR", AREAS["bbox"][1:]),
    ),
    "keypoints": (
        *_PRECISION,
        *_by_area("AP", AREAS["keypoints"][1:]),
        Figure("AR", "average recall, mean over overlaps .50:.05:.95"),
        Figure("AR50", "AR at overlap .50", 0),
        Figure("AR75", "AR at overlap .75", 5),
        *_by_area("AR", AREAS["keypoints"][1:]),
    ),
}
"""By kind, in the official order."""


def figures(curves: Curves, kind: Kind, categories: slice = slice(None)) -> dict[str, float | None]:
    """All figures by name over some categories; None where nothing of them is labelled."""
    values = {figure.name: figure.of(curves, categories) for figure in FIGURES[kind]}
    return {name: None if value == -1 else value for name, value in values.items()}
