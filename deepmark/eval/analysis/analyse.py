"""All tables of the analysis beside the AP table: errors, calibration, confusion, landmarks, curves, items."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from deepmark.data.parquet import write_table
from deepmark.eval.analysis.assignment import assign_detections
from deepmark.eval.analysis.confusion import confusion_table
from deepmark.eval.analysis.curves import calibration_table, curve_table
from deepmark.eval.analysis.items import item_table
from deepmark.eval.analysis.landmark_error import landmark_table
from deepmark.eval.analysis.tide_errors import error_table
from deepmark.eval.metric.average_precision import precision
from deepmark.eval.metric.columns import DetectionColumns, Truth, detection_columns, truth_columns
from deepmark.eval.metric.figures import matchings
from deepmark.eval.metric.names import KINDS
from deepmark.types import ImageRecord, Prediction
from deepmark.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

STEPS: int = len(KINDS) + 1
"""How often `diagnose` calls `progress(1)`."""


def diagnose(
    records: Iterable[ImageRecord],
    predictions: Iterable[Prediction],
    *,
    vocabulary: Vocabulary | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, "pd.DataFrame"]:
    """Tables by name: errors, calibration, confusion, landmarks, curves, items; `vocabulary` as in `evaluate`.

    Raises DeepmarkError if records and predictions are not of the same images or vocabulary.
    """
    truth = truth_columns(records, vocabulary)
    return diagnose_columns(truth, detection_columns(predictions, truth), progress=progress)


def diagnose_columns(
    truth: Truth, results: DetectionColumns, *, progress: Callable[[int], None] = lambda count: None
) -> dict[str, "pd.DataFrame"]:
    """As `diagnose`, of labels and detections that are columns already."""
    tables, precisions = {}, {}
    for kind, matching in matchings(truth, results):
        matches = matching.match()
        precisions[kind] = precision(matches)
        if kind == "box":
            tables["errors"] = error_table(truth, results, matches)
            tables["calibration"] = calibration_table(matches)
        del matching, matches  # before those of the next kind are made
        progress(1)
    found = assign_detections(truth, results)
    tables["confusion"] = confusion_table(truth, results, found)
    tables["landmarks"] = landmark_table(truth, results, found)
    tables["curves"] = curve_table(truth.vocabulary, precisions)
    tables["items"] = item_table(truth, results, found)
    progress(1)
    return tables


def write_tables(folder: Path, tables: Mapping[str, "pd.DataFrame"]) -> None:
    """One file for each table, not rounded: CSV, and Parquet for the items, which grow with the data."""
    for name, table in tables.items():
        if name == "items":
            write_table(folder / f"{name}.parquet", pa.Table.from_pandas(table, preserve_index=False))
        else:
            table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
