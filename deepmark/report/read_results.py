"""Reads the results of an evaluation for the report."""

from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepmark.eval.metric.metrics_file import read_metrics
from deepmark.eval.metric.names import KINDS, METRICS

if TYPE_CHECKING:
    import pandas as pd

FRAMES: tuple[str, ...] = ("ap", "landmarks", "errors", "confusion", "curves", "calibration")
TABLES: tuple[str, ...] = (*(f"{name}.csv" for name in FRAMES), "items.parquet")
"""The files of tables/{strategy}/."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """All figures of one strategy; the frames are the files of tables/{strategy}/ of their names."""

    metrics: dict[str, Any]
    """The content of metrics/{strategy}.json and, under "interval", {"low", "high"} of its APs as `ap` has them."""

    ap: "pd.DataFrame"
    """metric, scope, value, low, high."""

    landmarks: "pd.DataFrame"
    """category, landmark, part, labelled, error_mean, error_median, pck05, pck10."""

    errors: "pd.DataFrame"
    """kind, count, shown (those of a score worth showing), ap_cost."""

    confusion: "pd.DataFrame"
    """truth, predicted, count."""

    curves: "pd.DataFrame"
    """kind, category, overlap, recall, precision."""

    calibration: "pd.DataFrame"
    """score_low, score_high, detections, score_mean, right."""

    items: "pd.DataFrame"
    """One row for each labelled item, with the detection that belongs to it."""


def read_measured(metrics_file: Path, tables: Path) -> Measured:
    """The figures in metrics/{strategy}.json and in the files of tables/{strategy}/."""
    import pandas as pd

    csv = {name: pd.read_csv(tables / f"{name}.csv") for name in FRAMES}
    items = pd.read_parquet(tables / "items.parquet")
    metrics = {**read_metrics(metrics_file), "interval": headline_intervals(csv["ap"])}
    return Measured(metrics=metrics, items=items, **csv)


def headline_intervals(ap: "pd.DataFrame") -> dict[str, dict[str, dict[str, float] | None]]:
    """{"box": {"AP": {"low": …, "high": …}, …}, …} over everything; None where a figure has no interval."""
    everything = ap[ap.scope == "all"]
    bounds = {
        metric: (low, high)
        for metric, low, high in zip(everything.metric, everything.low, everything.high, strict=True)
    }
    parts: dict[str, dict[str, dict[str, float] | None]] = {kind: {} for kind in KINDS}
    for name, metric in METRICS.items():
        low, high = bounds[name]
        parts[metric.kind][metric.threshold] = None if isnan(low) else {"low": low, "high": high}
    return parts
