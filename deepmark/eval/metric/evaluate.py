"""The official DeepFashion2 metric: boxes, visible landmarks, visible and occluded landmarks.

AP over the overlaps .50:.05:.95, AP50 and AP75, mean over categories; the same for each category and each subset,
each with a 95% interval by resampling the images.
Source: the DeepFashion2 challenge, stock COCO evaluation with the vocabulary's sigmas; equal to pycocotools by test.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.bootstrap import Interval, draws, interval
from deepmark.eval.metric.columns import DetectionColumns, Truth, detection_columns, truth_columns, vocabulary_of
from deepmark.eval.metric.figures import Figures, matchings
from deepmark.eval.metric.names import HEADLINE, KINDS, MAIN, METRICS, THRESHOLDS, Metric
from deepmark.eval.metric.subsets import SCOPES, subset_items
from deepmark.shapes import Float64
from deepmark.types import ImageRecord, Prediction
from deepmark.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

_T = TypeVar("_T")

PASSES: int = len(KINDS) * (1 + len(SCOPES))
"""How often `evaluate` calls `progress(1)`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure."""

    metric: str
    """A key of `names.METRICS`."""

    scope: str
    """"all", "category:vest", "scale:small", "source:shop"."""

    value: float | None
    """0..1; None if the scope has no labelled garments, as landmarks of a category that has none."""

    interval: Interval | None = None
    """At 95% confidence; None without a value, or without resamples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalReport:
    """All figures of one set of predictions, not rounded."""

    vocabulary: Vocabulary

    rows: tuple[Row, ...]

    resamples: Mapping[str, Float64[np.ndarray, " b"]] = field(compare=False)  # the rows' intervals compare them
    """The figures of `names.HEADLINE` over everything in each resample; those of two reports of the same images, number
    of resamples and seed are paired. NaN without labelled garments."""

    def row(self, metric: str, scope: str = "all") -> Row:
        """One figure with its interval; KeyError if there is no such metric or scope."""
        return {(row.metric, row.scope): row for row in self.rows}[metric, scope]

    def value(self, metric: str, scope: str = "all") -> float | None:
        """One figure; KeyError if there is no such metric or scope."""
        return self.row(metric, scope).value

    def headline(self) -> dict[str, dict[str, float | None]]:
        """{"box": {"AP": …, "AP50": …, "AP75": …}, "landmark_visible": …, "landmark": …} over everything."""
        parts: dict[str, dict[str, float | None]] = {kind: {} for kind in KINDS}
        for metric in METRICS.values():
            parts[metric.kind][metric.threshold] = self.value(metric.name)
        return parts

    def to_frame(self) -> "pd.DataFrame":
        """Columns metric, scope, value, low, high; NaN for None."""
        import pandas as pd

        columns = ("metric", "scope", "value", "low", "high")
        rows = []
        for row in self.rows:
            low, high = (row.interval.low, row.interval.high) if row.interval else (None, None)
            rows.append((row.metric, row.scope, row.value, low, high))
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype(dict.fromkeys(("value", "low", "high"), "float64"))

    def resamples_frame(self) -> "pd.DataFrame":
        """A column for each of `names.HEADLINE`, a row for each resample."""
        import pandas as pd

        return pd.DataFrame(self.resamples)

    def by_category(self) -> "pd.DataFrame":
        """Columns category, box_ap, landmark_ap, for a plot."""
        import pandas as pd

        names = list(self.vocabulary.by_name)
        columns = {metric: [self.value(metric, f"category:{name}") for name in names] for metric in MAIN}
        return pd.DataFrame({"category": names, **columns}).astype(dict.fromkeys(MAIN, "float64"))


def _rows(kind: str, scope: str, figures: Figures, categories: slice = slice(None)) -> list[Row]:
    return [
        Row(
            metric=Metric(kind=kind, threshold=threshold).name,
            scope=scope,
            value=figures.value(threshold, categories),
            interval=interval(figures.resamples(threshold, categories)),
        )
        for threshold in THRESHOLDS
    ]


def _each(values: Iterable[_T], kind: type[_T], expected: str) -> Iterator[_T]:
    """The values one by one, if all are of this kind."""
    for value in values if isinstance(values, Iterable) else [values]:
        if not isinstance(value, kind):
            found = f"{type(values).__name__} with {type(value).__name__}"
            raise DeepmarkError(f"evaluate: {expected}, found {found}.")
        yield value


def evaluate(
    records: Iterable[ImageRecord],
    predictions: Iterable[Prediction],
    *,
    vocabulary: Vocabulary | None = None,
    by_subset: bool = True,
    resamples: int = 0,
    seed: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> EvalReport:
    """The official figures of these predictions, over everything, by category and, if wanted, by subset.

    Every image needs a prediction, even one without detections; records and predictions may come in any order. With
    `resamples`, every figure has an interval. Both are read once and not kept. `vocabulary` is that of the records,
    which `read_records` knows by itself; without either it is DeepFashion2's.

    Raises DeepmarkError if records and predictions are not of the same images or vocabulary, or something else.
    """
    if not isinstance(resamples, int) or resamples < 0:
        raise DeepmarkError(f"evaluate: resamples is {resamples!r}. Give a whole number, 0 or more.")
    truth = truth_columns(
        _each(records, ImageRecord, "records: expected what `read_records(path)` reads"),
        vocabulary or vocabulary_of(records),
    )
    found = _each(
        predictions,
        Prediction,
        "predictions: expected the first of the two that `predictions, facts = read_predictions(path)` returns",
    )
    results = detection_columns(found, truth)
    return evaluate_columns(truth, results, by_subset=by_subset, resamples=resamples, seed=seed, progress=progress)


def evaluate_columns(
    truth: Truth,
    results: DetectionColumns,
    *,
    by_subset: bool = True,
    resamples: int = 0,
    seed: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> EvalReport:
    """As `evaluate`, of labels and detections that are columns already."""
    subsets = subset_items(truth) if by_subset else {}
    counts = draws(len(truth.images), resamples=resamples, seed=seed)
    rows: list[Row] = []
    resampled: dict[str, Float64[np.ndarray, " b"]] = {}
    for kind, matching in matchings(truth, results):
        figures = Figures(matching, counts)
        resampled |= {
            name: figures.resamples(METRICS[name].threshold) for name in HEADLINE if METRICS[name].kind == kind
        }
        rows += _rows(kind, "all", figures)
        for category in truth.vocabulary.categories:
            rows += _rows(kind, f"category:{category.name}", figures, slice(category.index, category.index + 1))
        progress(1)
        del figures  # its matches take memory
        for scope, items in subsets.items():
            rows += _rows(kind, scope, Figures(matching, counts, items))
            progress(1)
        del matching
    return EvalReport(vocabulary=truth.vocabulary, rows=tuple(rows), resamples=resampled)
