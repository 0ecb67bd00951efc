"""The jobs: one for each set of assets that share their partitions, and chains of them.

A Dagster run has one set of partitions, so a job of assets can make records of both splits, or metrics of all
strategies, never both. A chain can: it is one run, whose only step makes one run after the other, each of an asset job
and a partition, and stops at the first that fails, be it a stage or a check. What is up to date costs a second, so a
chain that was cut off goes on where it was when it is started again.
"""

from collections.abc import Collection

import dagster as dg

from assets.dvc.graph import Graph
from deepmark.errors import DeepmarkError

RELEASE = "release"
"""The group, and the job, of what makes a checkpoint the one in use."""

CHAINED = "deepmark/chain"
"""The tag of a chain's run, which is `WHOLE`, and of every run that it makes, which is that run's id."""

WHOLE = "whole"

RETRAIN = "retrain"
_CHAINS = {
    "train_and_evaluate": (
        dg.AssetSelection.groups("training", "evaluation"),
        "Trains, predicts by every strategy, measures, and writes the report.",
    ),
    RETRAIN: (
        dg.AssetSelection.all(),
        "Everything, from the raw files to the release: what has changed is made again.",
    ),
}


def jobs(graph: Graph, groups: Collection[str]) -> list:
    """In an order in which they can run, then the chains; `release` where one of the groups is called that."""
    made = [
        dg.define_asset_job(
            name,
            # Objects, not a selection string: strings need antlr 4.13, which DVC's own wishes can replace.
            selection=dg.AssetSelection.assets(*(family.hints.asset for family in families)),
            description="Makes " + ", ".join(family.hints.asset for family in families) + ".",
        )
        for name, families in graph.jobs.items()
    ]
    if RELEASE in groups:
        made.append(
            dg.define_asset_job(
                RELEASE,
                selection=dg.AssetSelection.groups(RELEASE),
                description="From a measured checkpoint to the one in use.",
            )
        )
    return made + [_chain(graph, name, selection, about) for name, (selection, about) in _CHAINS.items()]


def _chain(graph: Graph, name: str, selection: dg.AssetSelection, about: str) -> dg.JobDefinition:
    @dg.op(name=f"{name}_in_order", description=about)
    def in_order(context: dg.OpExecutionContext) -> None:
        from pipelines.materialize import materialize_all

        try:
            materialize_all(
                graph.workspace,
                instance=context.instance,
                progress=context.log.info,
                selection=selection,
                tags={CHAINED: context.run_id},
            )
        except DeepmarkError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None

    @dg.job(name=name, description=about, tags={CHAINED: WHOLE}, executor_def=dg.in_process_executor)
    def chain() -> None:
        in_order()

    return chain
