"""How precisely a landmark is placed: the standard deviation of its position, by landmark and score.

Each landmark has an error of its own, from the evaluation of the model, or from how precisely people place it (the
sigmas of OKS). A high peak of its heatmap is more precise, a low one less; docs/results.md says how far these numbers
hold.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.shapes import Float64
from deepmark.vocabulary import Category, Vocabulary

_RAYLEIGH_MEAN = math.sqrt(math.pi / 2)
"""Mean distance from the middle of a normal distribution in the plane, in its standard deviations along an axis."""

_BY_OKS = 1.2
"""The error of the demo's network in sigmas of OKS, over all landmarks; measured on drawn images."""

_AT_FULL_SCORE, _MOST, _HIDDEN = 0.75, 2.5, 1.45
"""Standard deviations in the landmark's own: .75 / score, at most 2.5, and 1.45 where no peak placed it. Measured on
300 drawn images with the demo's network."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """The errors of the landmarks of every category."""

    errors: Mapping[str, Float64[np.ndarray, " k"]]
    """By the name of the category: standard deviation along each axis, in roots of the area of the garment's box."""

    source: str
    """Where they come from, for people."""

    def spread(
        self, category: Category, box: Float64[np.ndarray, "4"], scores: Float64[np.ndarray, " k"]
    ) -> Float64[np.ndarray, " k"]:
        """The standard deviation of each landmark along each axis, pixels, by the scores of the landmarks."""
        width, height = np.maximum(box[2:] - box[:2], 0).tolist()
        by_score = np.minimum(_AT_FULL_SCORE / np.maximum(scores, 1e-6), _MOST)
        return math.sqrt(width * height) * self.errors[category.name] * np.where(scores > 0, by_score, _HIDDEN)


def by_oks(vocabulary: Vocabulary) -> Precision:
    """The precision by the sigmas of OKS: how precisely people place each landmark."""
    errors = {category.name: _BY_OKS * np.array(category.sigmas) for category in vocabulary.categories}
    return Precision(errors=errors, source=f"the sigmas of {vocabulary.name}'s metric (OKS)")


def by_evaluation(path: Path, vocabulary: Vocabulary) -> Precision:
    """The precision that an evaluation measured: its table landmarks.csv, column error_mean.

    A landmark that was labelled in no image has the precision of `by_oks`.
    Raises DeepmarkError, naming file and line, where the file is no such table.
    """
    errors = {name: values.copy() for name, values in by_oks(vocabulary).errors.items()}
    with path.open(encoding="utf-8", newline="") as file:
        try:
            rows = list(csv.DictReader(file))
        except (UnicodeDecodeError, csv.Error):
            rows = []
    if not rows or not {"category", "landmark", "error_mean"} <= set(rows[0]):
        raise DeepmarkError(
            f"{path}: no table of landmarks. Give landmarks.csv of `deepmark evaluate`, in tables/ of a workspace."
        )
    for line, row in enumerate(rows, 2):
        try:
            values = errors[row["category"]]
            number, error = int(row["landmark"]), float(row["error_mean"] or "nan")
            if not 1 <= number <= vocabulary.by_name[row["category"]].landmarks or error < 0:
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise DeepmarkError(
                f"{path}, line {line}: no landmark with its error. Run `deepmark evaluate` again."
            ) from None
        if math.isfinite(error):
            values[number - 1] = error / _RAYLEIGH_MEAN
    return Precision(errors=errors, source=f"the evaluation in {path}")
