"""dvc.yaml as Dagster assets: a stage is an asset, its items are partitions, making it is `dvc repro` of that stage."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg

from pipelines.dvc_graph import Edge, Graph, Stage, StageFamily, read_data_version
from pipelines.dvc_repro import Outcome, StageFailedError, repro

Facts = Callable[[Path, str | None], Mapping[str, Any]]
"""What a person wants to see of something made: workspace and partition -> Dagster's metadata."""


Check = Callable[[Path, str | None], dg.AssetCheckResult]
"""Whether it may be used: workspace and partition -> result. Its name and docstring are what people read."""


def dvc_assets(
    graph: Graph,
    *,
    group: str,
    facts: Mapping[str, Facts] = MappingProxyType({}),
    checks: Mapping[str, Sequence[Check]] = MappingProxyType({}),
) -> list[dg.AssetsDefinition]:
    """The assets of one group, with what to show and what to check by asset name.

    Facts and checks are read after every materialization, also one that changed nothing.
    """
    return [
        dvc_asset(graph, family, facts=facts.get(family.hints.asset), checks=checks.get(family.hints.asset, ()))
        for family in graph.families
        if family.hints.group == group
    ]


def dvc_asset(
    graph: Graph, family: StageFamily, *, facts: Facts | None = None, checks: Sequence[Check] = ()
) -> dg.AssetsDefinition:
    """One stage of dvc.yaml as an asset: named, placed and connected as the graph says."""
    hints = family.hints

    @dg.asset(
        name=hints.asset,
        group_name=hints.group,
        description=hints.description or None,
        kinds=set(hints.kinds),
        pool=hints.pool,
        partitions_def=dg.StaticPartitionsDefinition(list(family.items)) if family.items else None,
        deps=[_dep(edge, family) for edge in graph.edges(family)],
        check_specs=[
            dg.AssetCheckSpec(check.__name__, asset=hints.asset, description=check.__doc__, blocking=True)
            for check in checks
        ],
    )
    def made_by_dvc(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        item = context.partition_key if context.has_partition_key else None
        stage = family.stage(item)
        outcome = _repro(context, graph.workspace, stage)
        version = read_data_version(graph.workspace, stage)
        shown = facts(graph.workspace, item) if facts else {}
        return dg.MaterializeResult(
            metadata={"dvc": outcome, "command": stage.command, **shown},
            data_version=dg.DataVersion(version) if version else None,
            check_results=[check(graph.workspace, item)._replace(check_name=check.__name__) for check in checks],
        )

    return made_by_dvc


def _repro(context: dg.AssetExecutionContext, workspace: Path, stage: Stage) -> Outcome:
    """`dvc repro` under Pipes: what the command reports, however deep below, is in the run's event log at once."""
    with ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Dagster's own use of what it calls deprecated, and a preview
            pipes = dg.open_pipes_session(
                context=context,
                context_injector=dg.PipesTempFileContextInjector(),
                message_reader=dg.PipesTempFileMessageReader(),
            )
            session = stack.enter_context(pipes)
        try:
            return repro(workspace, stage.address, env=session.get_bootstrap_env_vars())
        except StageFailedError as error:
            # What failed will fail again: most often a user's mistake. Lock contention was waited for already.
            raise dg.Failure(description=str(error), allow_retries=False) from None


def _dep(edge: Edge, user: StageFamily) -> dg.AssetDep:
    return dg.AssetDep(edge.upstream.hints.asset, partition_mapping=_mapping(edge, user))


def _mapping(edge: Edge, user: StageFamily) -> dg.PartitionMapping | None:
    """Which partitions of the upstream asset each partition of its user is made from; None where Dagster knows."""
    every = edge.upstream.items
    if every is None:
        return None
    used = set(edge.uses.values())
    if len(used) == 1:  # all users use the same
        items = next(iter(used))
        chosen = [item for item in every if item in items]
        return dg.AllPartitionMapping() if len(chosen) == len(every) else dg.SpecificPartitionsPartitionMapping(chosen)
    if user.items == every and all(items == {item} for item, items in edge.uses.items()):
        return dg.IdentityPartitionMapping()
    return dg.StaticPartitionMapping(
        {item: [by for by in edge.uses if item in edge.uses[by]] for item in every}  # type: ignore[misc]
    )


def broken_graph(error: Exception) -> dg.AssetsDefinition:
    """One asset that stands for a graph which cannot be read, so that the error is seen where people look."""

    @dg.asset(name="dvc_yaml_is_broken", group_name="error", description=f"```\n{error}\n```")
    def broken() -> None:
        raise dg.Failure(description=str(error), allow_retries=False)

    return broken
