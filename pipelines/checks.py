"""What must hold for something made, whatever it was made from; shown as checks beside the asset."""

import json
import math
from pathlib import Path
from typing import Any

import dagster as dg

from deepmark.workspace import Workspace


def every_file_is_accounted_for(root: Path, split: str | None) -> dg.AssetCheckResult:
    """Files in = records + rejected."""
    counts = _read(Workspace(root).records / f"{split}.statistics.json")
    if counts is None:
        return _unknown("the statistics file is missing")
    inputs, records, rejected = (int(counts[name]) for name in ("inputs", "records", "rejected"))
    return dg.AssetCheckResult(
        passed=inputs == records + rejected,
        metadata={"inputs": inputs, "records": records, "rejected": rejected},
    )


def loss_is_finite(root: Path, _: str | None) -> dg.AssetCheckResult:
    """The last epoch's losses, of training and of validation, are numbers."""
    figures = _read(Workspace(root).train_metrics_file)
    if figures is None:
        return _unknown("metrics/train.json is missing")
    losses = {name: float(figures[name]) for name in ("loss", "validation_loss")}
    return dg.AssetCheckResult(passed=all(map(math.isfinite, losses.values())), metadata=losses)


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def _unknown(why: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description=why)
