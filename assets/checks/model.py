"""Checks of a checkpoint, and of the metrics of its predictions."""

import math
from dataclasses import asdict

import dagster as dg

from assets.checks.asset_check import Materialized, unknown
from assets.metadata.stages import read_json
from deepmark.digests import read_listed_csv
from deepmark.eval.metric.bootstrap import Interval, interval
from deepmark.eval.metric.metrics_file import maker, read_metrics
from deepmark.eval.metric.names import MAIN, METRICS
from deepmark.schema import STRATEGIES
from deepmark.train.learning_check import learning_warnings
from deepmark.workspace.layout import Workspace

SLOWER = 1.25
"""Times the previous milliseconds an image; below it, one machine differs from itself."""


def loss_is_finite(materialized: Materialized) -> dg.AssetCheckResult:
    """The last epoch's losses, of training and of validation where that is measured, are numbers."""
    figures = read_json(Workspace(materialized.workspace).train_metrics_file, "deepmark train")
    if figures is None:
        return unknown("metrics/train.json is missing")
    names = ("loss", "validation_loss")
    losses = {name: float(figures[name]) for name in names if figures[name] is not None}
    return dg.AssetCheckResult(passed=all(map(math.isfinite, losses.values())), metadata=losses)


def loss_falls(materialized: Materialized) -> dg.AssetCheckResult:
    """The last epoch's training loss is below the first's."""
    workspace = Workspace(materialized.workspace)
    file = workspace.losses_file
    if not file.is_file():
        return unknown("plots/losses.csv is missing")
    metrics, columns = workspace.train_metrics_file, {"train": "float64"}
    losses = read_listed_csv(file, listed_in=metrics, columns=columns, maker="deepmark train")["train"].tolist()
    if not losses:
        return unknown("plots/losses.csv has no epoch")
    return dg.AssetCheckResult(
        passed=losses[-1] < losses[0] or len(losses) == 1,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"first": losses[0], "last": losses[-1], "epochs": len(losses)},
    )


def the_training_learns(materialized: Materialized) -> dg.AssetCheckResult:
    """The training loss has fallen, no AP stayed 0, and neither fell far behind its best."""
    training = read_json(Workspace(materialized.workspace).training_file, "deepmark train")
    if training is None:
        return unknown("data/checkpoint/training.json is missing")
    history = training["history"]
    found = learning_warnings(history, epochs=len(history))
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(found) or None,
        metadata={"epochs": len(history), "skipped steps": sum(epoch["skipped"] for epoch in history)},
    )


def ap_is_not_below_the_simpler_strategy(materialized: Materialized) -> dg.AssetCheckResult:
    """Each strategy adds to the one before it: by the paired bootstrap, its box and landmark AP are not lower."""
    workspace, strategy = Workspace(materialized.workspace), materialized.partition or ""
    simpler = STRATEGIES[max(0, STRATEGIES.index(strategy) - 1)]
    files = [workspace.metrics_file(name) for name in (strategy, simpler)]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        return unknown(f"metrics/{missing[0]} is missing")
    now, before = map(read_metrics, files)
    values = {name: (METRICS[name].value_in(now), METRICS[name].value_in(before)) for name in MAIN}
    gains = {name: a - b for name, (a, b) in values.items() if a is not None and b is not None}
    lower = {name: gain for name, gain in gains.items() if gain < 0}
    metadata: dict[str, float] = {f"{METRICS[name].short_words} gained": gain for name, gain in gains.items()}
    lost = []
    for name, gain in lower.items():
        bounds = _difference(workspace, name, strategy, simpler)
        words = f"{METRICS[name].short_words} is {-gain:.4f} below that of '{simpler}'"
        if bounds is None:
            return unknown(
                f"{words}; whether by chance, the resamples in tables/ do not say: `deepmark evaluate` again"
            )
        metadata |= {
            f"{METRICS[name].short_words} gained, {end} of 95%": bound for end, bound in asdict(bounds).items()
        }
        if bounds.high < 0:
            lost.append(f"{words} (95% of the differences: {bounds.low:+.4f} to {bounds.high:+.4f})")
    return dg.AssetCheckResult(
        passed=not lost,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(lost) or None,
        metadata=metadata,
    )


def _difference(workspace: Workspace, metric: str, strategy: str, simpler: str) -> Interval | None:
    """The 95% interval of how much the strategy gains; None without paired resamples of both."""
    resamples = []
    for name in (strategy, simpler):
        file, metrics = workspace.resamples_file(name), workspace.metrics_file(name)
        if not file.is_file():
            return None
        frame = read_listed_csv(file, listed_in=metrics, columns={metric: "float64"}, maker=maker(metrics))
        resamples.append(frame[metric].to_numpy())
    now, before = resamples
    return interval(now - before) if len(now) == len(before) else None


def latency_has_not_grown(materialized: Materialized) -> dg.AssetCheckResult:
    """An image takes about as many milliseconds as at the last materialization."""
    file = Workspace(materialized.workspace).metrics_file(materialized.partition or "")
    if not file.is_file():
        return unknown(f"metrics/{file.name} is missing")
    figures, before = read_metrics(file), materialized.previous.get("ms total")
    if "ms" not in figures:
        return unknown(f"metrics/timing/{file.name} is missing")
    now = float(figures["ms"]["total"])
    return dg.AssetCheckResult(
        passed=before is None or now <= SLOWER * before,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"ms": now} if before is None else {"ms": now, "ms before": float(before)},
    )
