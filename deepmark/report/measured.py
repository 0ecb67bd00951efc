"""What evaluation left of one strategy, as the report reads it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

TABLES: tuple[str, ...] = ("ap.csv", "landmarks.csv", "errors.csv", "confusion.csv", "curves.csv", "items.parquet")
"""The files of tables/{strategy}/."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """All figures of one strategy; the frames are the files of tables/{strategy}/ of their names."""

    metrics: dict[str, Any]
    """The content of metrics/{strategy}.json."""

    ap: "pd.DataFrame"
    """metric, scope, value, low, high, higher_is_better."""

    landmarks: "pd.DataFrame"
    """category, landmark, part, labelled, error_mean, error_median, pck05, pck10."""

    errors: "pd.DataFrame"
    """kind, count, shown (those of a score worth showing), ap_cost."""

    confusion: "pd.DataFrame"
    """truth, predicted, count."""

    curves: "pd.DataFrame"
    """kind, category, overlap, recall, precision."""

    items: "pd.DataFrame"
    """One row an item of the truth, with the detection that belongs to it."""


def read_measured(metrics_file: Path, tables: Path) -> Measured:
    """The figures in metrics/{strategy}.json and in the files of tables/{strategy}/."""
    import pandas as pd

    csv = {Path(name).stem: pd.read_csv(tables / name) for name in TABLES if name.endswith(".csv")}
    items = pd.read_parquet(tables / "items.parquet")
    return Measured(metrics=json.loads(metrics_file.read_text("utf-8")), items=items, **csv)
