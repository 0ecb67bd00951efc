"""The figures of epochs and evaluations by their names in MLflow, which groups charts by what precedes the "/"."""

from collections.abc import Mapping
from typing import Any

from deepmark.eval.metric.names import MAIN, METRICS


def epoch_metrics(epoch: Mapping[str, Any]) -> dict[str, float]:
    """The figures of an epoch, from the history in training.json: "loss/train", "box/AP", "training/learning_rate"."""
    names = {"total": ""}
    values = {
        f"loss/{split}{names.get(part, f'_{part}')}": loss
        for split in ("train", "validation")
        for part, loss in epoch[split].items()
    }
    measured = {name: epoch["measured"].get(name) for name in MAIN}
    values |= {METRICS[name].mlflow_name(): value for name, value in measured.items() if value is not None}
    others = ("learning_rate", "weight_norm", "samples_per_second", "waiting")
    values |= {f"training/{name}": epoch[name] for name in others if name in epoch}
    return values | {"training/skipped_steps": epoch["skipped"]}


def evaluation_metrics(strategy: str, metrics: Mapping[str, Any]) -> dict[str, float]:
    """The figures of `read_metrics` as "box/AP_nms", "milliseconds/total_nms", "evaluation/images_nms"."""
    figures = {metric.mlflow_name(strategy): metric.value_in(metrics) for metric in METRICS.values()}
    values = {name: value for name, value in figures.items() if value is not None}
    values |= {f"milliseconds/{part}_{strategy}": ms for part, ms in metrics.get("ms", {}).items()}
    return values | {f"evaluation/images_{strategy}": metrics["images"]}
