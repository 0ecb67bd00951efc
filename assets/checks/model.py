"""Checks of a checkpoint, and of the metrics of its predictions."""

import csv
import math

import dagster as dg

from assets.checks.asset_check import Materialized, unknown
from assets.metadata.stages import read_json
from deepmark.digests import check_files
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.metrics_file import read_metrics
from deepmark.schema import STRATEGIES
from deepmark.workspace.layout import Workspace

SLOWER = 1.25
"""Times the previous milliseconds an image; below it, one machine differs from itself."""

WORSE = 0.001
"""AP that a strategy may lose to a simpler one by chance, of a few boxes."""


def loss_is_finite(materialized: Materialized) -> dg.AssetCheckResult:
    """The last epoch's losses, of training and of validation, are numbers."""
    figures = read_json(Workspace(materialized.workspace).train_metrics_file, "deepmark train")
    if figures is None:
        return unknown("metrics/train.json is missing")
    losses = {name: float(figures[name]) for name in ("loss", "validation_loss")}
    return dg.AssetCheckResult(passed=all(map(math.isfinite, losses.values())), metadata=losses)


def loss_falls(materialized: Materialized) -> dg.AssetCheckResult:
    """The last epoch's training loss is below the first's."""
    workspace = Workspace(materialized.workspace)
    file = workspace.losses_file
    if not file.is_file():
        return unknown("plots/losses.csv is missing")
    if workspace.train_metrics_file.is_file():
        check_files(workspace.train_metrics_file, [file], "deepmark train")
    try:
        losses = [float(row["train"]) for row in csv.DictReader(file.read_text("utf-8").splitlines())]
    except (ValueError, KeyError, TypeError) as error:
        raise DeepmarkError(f"{file}: damaged ({error}). Run `deepmark train` again.") from None
    return dg.AssetCheckResult(
        passed=len(losses) == 1 or losses[-1] < losses[0],
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"first": losses[0], "last": losses[-1], "epochs": len(losses)},
    )


def ap_is_not_below_the_simpler_strategy(materialized: Materialized) -> dg.AssetCheckResult:
    """Each strategy adds to the one before it: its box and landmark AP are not lower, by more than chance."""
    strategy = materialized.partition or ""
    simpler = STRATEGIES[max(0, STRATEGIES.index(strategy) - 1)]
    files = [Workspace(materialized.workspace).metrics_file(name) for name in (strategy, simpler)]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        return unknown(f"metrics/{missing[0]} is missing")
    now, other = map(read_metrics, files)
    gains = {
        f"{part} AP": now[part]["AP"] - other[part]["AP"]
        for part in ("box", "landmark")
        if now[part]["AP"] is not None and other[part]["AP"] is not None  # nothing of the kind is labelled
    }
    lost = [f"{name} is {-gain:.4f} below that of '{simpler}'" for name, gain in gains.items() if gain < -WORSE]
    return dg.AssetCheckResult(
        passed=not lost,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(lost) or None,
        metadata={f"{name} gained": gain for name, gain in gains.items()},
    )


def latency_has_not_grown(materialized: Materialized) -> dg.AssetCheckResult:
    """An image takes about as many milliseconds as at the last materialization."""
    file = Workspace(materialized.workspace).metrics_file(materialized.partition or "")
    if not file.is_file():
        return unknown(f"metrics/{file.name} is missing")
    figures, before = read_metrics(file), materialized.previous.get("ms total")
    now = float(figures["ms"]["total"])
    return dg.AssetCheckResult(
        passed=before is None or now <= SLOWER * before,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"ms": now} if before is None else {"ms": now, "ms before": float(before)},
    )
