"""The figures of one kind of matching: AP, AP50 and AP75, with their resamples."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from deepmark.eval.metric.average_precision import average_precision, precision
from deepmark.eval.metric.bootstrap import resampled_ap
from deepmark.eval.metric.columns import DetectionColumns, Truth
from deepmark.eval.metric.matching import Matching
from deepmark.eval.metric.names import KINDS, THRESHOLDS
from deepmark.shapes import Bool, Float64, UInt8


def matchings(truth: Truth, results: DetectionColumns) -> Iterable[tuple[str, Matching]]:
    """The results matched to the truth by each of `names.KINDS`, one after the other."""
    for kind in KINDS:
        yield kind, Matching(truth, results, kind)


class Figures:
    """AP, AP50 and AP75 of matches, of one category or of all, and the same in every resample."""

    def __init__(
        self, matching: Matching, counts: UInt8[np.ndarray, "b p"], items: Bool[np.ndarray, " n"] | None = None
    ) -> None:
        self._matches, self._counts = matching.match(items), counts
        self._precision = precision(self._matches)

    @cached_property
    def _resampled(self) -> Float64[np.ndarray, "b 10 categories"]:
        return resampled_ap(self._matches, self._counts)

    def value(self, figure: str, categories: slice = slice(None)) -> float | None:
        """A figure of `THRESHOLDS`."""
        return average_precision(self._precision[THRESHOLDS[figure], :, categories])

    def resamples(self, figure: str, categories: slice = slice(None)) -> Float64[np.ndarray, " b"]:
        """The same figure in every resample; NaN without labelled garments."""
        found = self._resampled[:, THRESHOLDS[figure], categories].mean(1)
        known = ~np.isnan(found)
        total, count = np.where(known, found, 0).sum(1), known.sum(1)
        return np.divide(total, count, out=np.full(len(found), np.nan), where=count > 0)
