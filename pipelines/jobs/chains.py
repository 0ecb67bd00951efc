"""Chains: jobs whose only step makes one run after the other, each of an asset job and a partition.

A Dagster run has one set of partitions, so an asset job can make the records of both splits, or the metrics of all
strategies, never both. A chain can. It stops at the first run that fails, by a stage or by a check. An asset that is up
to date costs a second, so a chain that was cut off continues where it was when it is started again.
"""

from collections.abc import Callable

import dagster as dg

from assets.dvc.graph import Graph
from deepmark.errors import DeepmarkError
from pipelines.jobs.names import CHAIN_TAG, RETRAIN, TRAIN_AND_EVALUATE, WHOLE_CHAIN
from pipelines.jobs.runs import execute_runs, plan_selection

_CHAINS = {
    TRAIN_AND_EVALUATE: (
        dg.AssetSelection.groups("training", "evaluation"),
        "Trains, predicts by every strategy, evaluates, and writes the report.",
    ),
    RETRAIN: (
        dg.AssetSelection.all(),
        "Everything, from the raw files to the release; what has not changed is not made again.",
    ),
}


def chains(graph: Graph, definitions: Callable[[], dg.Definitions]) -> list[dg.JobDefinition]:
    """`definitions` returns the assets and the jobs, these chains among them, once they are complete."""
    return [
        _chain(graph, definitions, name, selection, description) for name, (selection, description) in _CHAINS.items()
    ]


def _chain(
    graph: Graph,
    definitions: Callable[[], dg.Definitions],
    name: str,
    selection: dg.AssetSelection,
    description: str,
) -> dg.JobDefinition:
    @dg.op(name=f"{name}_in_order", description=description)
    def run_in_order(context: dg.OpExecutionContext) -> None:
        defs = definitions()
        try:
            execute_runs(
                graph,
                defs,
                plan_selection(graph, defs, selection),
                instance=context.instance,
                progress=context.log.info,
                tags={CHAIN_TAG: context.run_id},
            )
        except DeepmarkError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None

    @dg.job(name=name, description=description, tags={CHAIN_TAG: WHOLE_CHAIN}, executor_def=dg.in_process_executor)
    def chain() -> None:
        run_in_order()

    return chain
