"""The paired bootstrap: whether one detector is better than another on the same images.

Both are evaluated on the same resamples of the images, so that what makes an image hard for both cancels out, and
differences far smaller than either interval can be real. Source: Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, chapter 16; percentile intervals.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepmark.eval.metric.bootstrap import Interval, draws, interval
from deepmark.eval.metric.columns import detection_columns, truth_columns
from deepmark.eval.metric.figures import Figures, matchings
from deepmark.eval.metric.names import THRESHOLDS, Metric
from deepmark.eval.metric.subsets import subset_items
from deepmark.shapes import Float64
from deepmark.types import ImageRecord, Prediction
from deepmark.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One figure of both detectors, and by how much B is above A."""

    metric: str
    scope: str
    """As in evaluate.Row."""

    a: float | None
    b: float | None
    """0..1; None if the scope has no labelled garments."""

    interval: Interval | None
    """Of b - a, 95%; None without resamples."""

    b_wins: float | None
    """The share of the resamples in which B is above A; ties count half."""

    @property
    def difference(self) -> float | None:
        """b - a; None if the scope has no labelled garments."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def is_real(self) -> bool:
        """Whether zero lies outside the interval of the difference."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high


def compare(
    records: Iterable[ImageRecord],
    a: Iterable[Prediction],
    b: Iterable[Prediction],
    *,
    resamples: int,
    vocabulary: Vocabulary | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> list[Difference]:
    """Every figure of `evaluate`, of both sets of predictions, in the same order; `vocabulary` as there.

    Raises DeepmarkError if one of them is not of the records' images or vocabulary.
    """
    truth = truth_columns(records, vocabulary)
    counts = draws(len(truth.images), resamples=resamples, seed=seed)
    scopes = {"all": None, **subset_items(truth)}
    both = (matchings(truth, detection_columns(predictions, truth)) for predictions in (a, b))
    found: list[Difference] = []
    for (kind, of_a), (_, of_b) in zip(*both, strict=True):
        for scope, items in scopes.items():
            pair = Figures(of_a, counts, items), Figures(of_b, counts, items)
            found += _differences(kind, scope, pair)
            if items is None:
                for category in truth.vocabulary.categories:
                    index = slice(category.index, category.index + 1)
                    found += _differences(kind, f"category:{category.name}", pair, index)
            progress(1)
    return found


def comparison_frame(differences: Iterable[Difference]) -> "pd.DataFrame":
    """Columns metric, scope, a, b, difference, low, high, b_wins, real; with every digit."""
    import pandas as pd

    rows = []
    for one in differences:
        low, high = (one.interval.low, one.interval.high) if one.interval else (None, None)
        rows.append((one.metric, one.scope, one.a, one.b, one.difference, low, high, one.b_wins, one.is_real))
    columns = ("metric", "scope", "a", "b", "difference", "low", "high", "b_wins", "real")
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:-1], "float64"))


def _differences(
    kind: str, scope: str, pair: tuple[Figures, Figures], categories: slice = slice(None)
) -> list[Difference]:
    found = []
    for threshold in THRESHOLDS:
        values = [figures.value(threshold, categories) for figures in pair]
        in_a, in_b = (figures.resamples(threshold, categories) for figures in pair)
        found.append(
            Difference(
                metric=Metric(kind=kind, threshold=threshold).name,
                scope=scope,
                a=values[0],
                b=values[1],
                interval=interval(in_b - in_a),
                b_wins=_wins(in_b - in_a),
            )
        )
    return found


def _wins(differences: Float64[np.ndarray, " b"]) -> float | None:
    known = differences[~np.isnan(differences)]
    return float(np.mean((known > 0) + 0.5 * (known == 0))) if known.size else None
