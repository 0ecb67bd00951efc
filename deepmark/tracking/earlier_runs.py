"""The figures of other runs in MLflow, for people to compare a result with: the run before it, and the champion's."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepmark.eval.metric.names import METRICS
from deepmark.tracking.mlflow_store import find_run, has_store, open_client, store_errors, tracking_uri
from deepmark.tracking.moved_store import EXPERIMENT
from deepmark.tracking.provenance import DATA_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierRun:
    """A run and its figures by one strategy."""

    name: str
    """Such as "champion, version 3", or "run before"."""

    run_id: str
    figures: dict[str, float]
    """By the names of `eval.metric.names.METRICS`; those that the run has."""

    data_version: str | None
    """The md5 of its shards; figures of other data cannot be compared."""


def run_before(workspace: Path, run_id: str, *, strategy: str) -> EarlierRun | None:
    """The newest run that started before this one and was evaluated by the strategy; None where there is none.

    Raises DeepmarkError where the store cannot be reached. A workspace without a store has none.
    """
    if not has_store(workspace):
        return None
    with store_errors(tracking_uri(workspace)):
        client = open_client(workspace)
        this, experiment = find_run(client, run_id), client.get_experiment_by_name(EXPERIMENT)
        if this is None or experiment is None:
            return None
        metric = METRICS["box_ap"].mlflow_name(strategy)
        found = client.search_runs(
            [experiment.experiment_id],
            filter_string=f"metrics.`{metric}` >= 0 and attributes.start_time < {this.info.start_time}",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
    return _earlier(found[0], "run before", strategy) if found else None


def figures_of_run(workspace: Path, run_id: str, *, name: str, strategy: str) -> EarlierRun | None:
    """The figures of a run by the strategy; None where it is gone, or was not evaluated by it.

    Raises DeepmarkError where the store cannot be reached.
    """
    with store_errors(tracking_uri(workspace)):
        run = find_run(open_client(workspace), run_id)
    earlier = _earlier(run, name, strategy) if run is not None else None
    return earlier if earlier is not None and earlier.figures else None


def _earlier(run: "Run", name: str, strategy: str) -> EarlierRun:
    values = run.data.metrics
    figures = {
        metric.name: values[metric.mlflow_name(strategy)]
        for metric in METRICS.values()
        if metric.mlflow_name(strategy) in values
    }
    return EarlierRun(name=name, run_id=run.info.run_id, figures=figures, data_version=run.data.tags.get(DATA_TAG))
