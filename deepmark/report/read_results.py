"""Reads the results of an evaluation for the report."""

from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepmark.data.parquet import read_table
from deepmark.digests import check_files, damaged, read_listed_csv
from deepmark.eval.metric.metrics_file import maker, read_metrics
from deepmark.eval.metric.names import KINDS, METRICS

if TYPE_CHECKING:
    import pandas as pd

_TEXT, _COUNT, _NUMBER = None, "int64", "float64"

COLUMNS: dict[str, dict[str, str | None]] = {
    "ap": {"metric": _TEXT, "scope": _TEXT, **dict.fromkeys(("value", "low", "high"), _NUMBER)},
    "landmarks": {
        "category": _TEXT,
        "landmark": _COUNT,
        "part": _TEXT,
        "labelled": _COUNT,
        **dict.fromkeys(("error_mean", "error_median", "pck05", "pck10"), _NUMBER),
    },
    "errors": {"kind": _TEXT, "count": _COUNT, "shown": _COUNT, "ap_cost": _NUMBER},
    "confusion": {"truth": _TEXT, "predicted": _TEXT, "count": _COUNT},
    "curves": {"kind": _TEXT, "category": _TEXT, **dict.fromkeys(("overlap", "recall", "precision"), _NUMBER)},
    "calibration": {
        "score_low": _NUMBER,
        "score_high": _NUMBER,
        "detections": _COUNT,
        "score_mean": _NUMBER,
        "right": _NUMBER,
    },
}
"""The CSV files of tables/{strategy}/, with the types of their columns."""

TABLES: tuple[str, ...] = (*(f"{name}.csv" for name in COLUMNS), "items.parquet")
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


def read_measured(metrics_file: Path, tables: Path, plot: Path) -> Measured:
    """The figures in metrics/{strategy}.json and in the files of tables/{strategy}/.

    Raises DeepmarkError where one of them, or another that was written with them, is damaged or of another evaluation.
    """
    metrics = read_metrics(metrics_file)
    check_files(metrics_file, [*sorted(tables.iterdir()), plot], maker(metrics_file))
    csv = {name: read_frame(metrics_file, tables / f"{name}.csv") for name in COLUMNS}
    items = read_table(tables / "items.parquet", maker(metrics_file)).to_pandas()
    return Measured(metrics={**metrics, "interval": headline_intervals(csv["ap"])}, items=items, **csv)


def read_frame(metrics_file: Path, file: Path) -> "pd.DataFrame":
    """A CSV file of tables/{strategy}/.

    Raises DeepmarkError where it is damaged, or is not the one that was written with the metrics.
    """
    made_by = maker(metrics_file)
    frame = read_listed_csv(file, listed_in=metrics_file, columns=COLUMNS[file.stem], maker=made_by)
    if file.stem == "ap":
        figures = frame[["value", "low", "high"]].to_numpy()
        impossible = figures[(figures < 0) | (figures > 1)]
        if impossible.size:
            raise damaged(file, f"an AP of {impossible[0]:g}", made_by)
    return frame


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
