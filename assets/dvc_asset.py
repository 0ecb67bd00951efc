"""dvc.yaml as Dagster assets: a stage is an asset, its items are partitions, and `dvc repro` materializes it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any
from warnings import catch_warnings, simplefilter

import dagster as dg

from assets.checks.asset_check import AssetCheck, Materialized, unknown
from assets.dvc.dvc_internals import is_up_to_date
from assets.dvc.graph import Edge, Graph, StageFamily, read_data_version
from assets.dvc.repro import Outcome, StageEndedError, StageFailedError, repro
from assets.metadata.code_references import stage_links
from assets.metadata.format import rounded
from assets.metadata.pieces import PiecesShown
from deepmark.errors import DeepmarkError

Facts = Callable[[Path, str | None], Mapping[str, Any]]
"""Workspace and partition -> the metadata that Dagster shows of a materialization."""

DVC_POOL = "dvc"
"""The pool of every stage that names none: waiting in its queue is better than waiting for DVC's lock."""

RETRIES = 2
"""Of a command that was ended from outside; a training continues from its checkpoint."""

RETRY_SECONDS = 10.0


def dvc_assets(
    graph: Graph,
    *,
    group: str,
    facts: Mapping[str, Facts] = MappingProxyType({}),
    checks: Mapping[str, Sequence[AssetCheck]] = MappingProxyType({}),
    warnings: Mapping[str, Sequence[AssetCheck]] = MappingProxyType({}),
    sources: Mapping[str, Path] = MappingProxyType({}),
) -> list[dg.AssetsDefinition]:
    """The assets of one group. `facts`, `checks` and `warnings` are by the name of an asset.

    A failed one of `checks` may stop everything downstream, one of `warnings` never does. `sources` are assets that no
    stage makes: name -> the folder that they stand for. Facts are read and checks are made after every materialization,
    also one that changed nothing.
    """
    return [
        dvc_asset(
            graph,
            family,
            facts=facts.get(family.hints.asset),
            checks=checks.get(family.hints.asset, ()),
            warnings=warnings.get(family.hints.asset, ()),
            sources=[name for name, folder in sources.items() if family.uses(folder)],
        )
        for family in graph.families
        if family.hints.group == group
    ]


def dvc_asset(
    graph: Graph,
    family: StageFamily,
    *,
    facts: Facts | None = None,
    checks: Sequence[AssetCheck] = (),
    warnings: Sequence[AssetCheck] = (),
    sources: Sequence[str] = (),
) -> dg.AssetsDefinition:
    """One stage of dvc.yaml as an asset, with the name, the group and the dependencies that the graph gives it."""
    hints = family.hints

    @dg.asset(
        name=hints.asset,
        group_name=hints.group,
        description=hints.description or None,
        kinds=set(hints.kinds),
        owners=list(hints.owners),
        metadata=stage_links(graph.workspace, family.name),
        pool=hints.pool or DVC_POOL,
        partitions_def=dg.StaticPartitionsDefinition(list(family.items)) if family.items else None,
        deps=[*sources, *(_dep(edge, family) for edge in graph.edges(family))],
        check_specs=[
            dg.AssetCheckSpec(check.__name__, asset=hints.asset, description=check.__doc__, blocking=check in checks)
            for check in (*checks, *warnings)
        ],
    )
    def materialize(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        partition = context.partition_key if context.has_partition_key else None
        stage = family.stage(partition)
        previous = _last_metadata(context, hints.asset, partition) if checks or warnings else {}
        pieces = PiecesShown(context, hints.asset, partition)
        outcome = _bring_up_to_date(context, graph.workspace, stage.address, pieces)
        version = read_data_version(graph.workspace, stage)
        materialized = Materialized(workspace=graph.workspace, partition=partition, previous=previous)
        return dg.MaterializeResult(
            metadata={
                "dvc": outcome,
                "command": stage.command,
                **pieces.latest,
                **rounded(_metadata(facts, graph.workspace, partition) if facts else {}),
            },
            data_version=dg.DataVersion(version) if version else None,
            check_results=[_run_check(check, materialized) for check in (*checks, *warnings)],
        )

    return materialize


def _metadata(facts: Facts, workspace: Path, partition: str | None) -> Mapping[str, Any]:
    try:
        return facts(workspace, partition)
    except DeepmarkError as error:  # a file of another release
        return {"not shown": str(error)}


def _bring_up_to_date(context: dg.AssetExecutionContext, workspace: Path, stage: str, pieces: PiecesShown) -> Outcome:
    """Start `dvc repro` only if there is something to do: its start is most of the time of an unchanged stage."""
    if is_up_to_date(workspace, stage):
        print(f"Stage '{stage}' didn't change, skipping", flush=True)
        return "unchanged"
    return repro_in_run(context, workspace, stage, pieces=pieces)


def repro_in_run(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    workspace: Path,
    *stages: str,
    options: Sequence[str] = ("--single-item",),
    env: Mapping[str, str] = MappingProxyType({}),
    pieces: PiecesShown | None = None,
) -> Outcome:
    """`dvc repro` in a Pipes session: what processes below it report is in the run's log at once.

    How many pieces of their work are done goes to `pieces`.
    """
    sessions: list[dg.PipesSession] = []
    with ExitStack() as stack:
        if pieces is not None:  # looks for the last time after the session has read all
            stack.enter_context(pieces.of(lambda: sessions[0].get_custom_messages() if sessions else ()))
        with catch_warnings():
            simplefilter("ignore")  # Dagster calls its own code deprecated, and Pipes a preview
            pipes = dg.open_pipes_session(
                context=context,
                context_injector=dg.PipesTempFileContextInjector(),
                message_reader=dg.PipesTempFileMessageReader(),
            )
            session = stack.enter_context(pipes)
        sessions.append(session)
        try:
            return repro(workspace, *stages, options=options, env={**env, **session.get_bootstrap_env_vars()})
        except StageEndedError as error:
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error
        except StageFailedError as error:
            # The same would fail again: it is most often a user's mistake.
            raise dg.Failure(description=str(error), allow_retries=False) from None


def _run_check(check: AssetCheck, materialized: Materialized) -> dg.AssetCheckResult:
    try:
        result = check(materialized)
    except DeepmarkError as error:  # a file that is missing or of another release
        result = unknown(str(error))
    return result._replace(check_name=check.__name__, metadata=rounded(result.metadata))


def _last_metadata(context: dg.AssetExecutionContext, asset: str, partition: str | None) -> dict[str, Any]:
    chosen = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[partition] if partition else None)
    for record in context.instance.fetch_materializations(chosen, limit=1).records:
        if record.asset_materialization:
            return {name: value.value for name, value in record.asset_materialization.metadata.items()}
    return {}


def _dep(edge: Edge, user: StageFamily) -> dg.AssetDep:
    return dg.AssetDep(edge.upstream.hints.asset, partition_mapping=_mapping(edge, user))


def _mapping(edge: Edge, user: StageFamily) -> dg.PartitionMapping | None:
    """The partitions of the upstream asset that each partition of `user` depends on; None for Dagster's default."""
    every = edge.upstream.items
    if every is None:
        return None
    used = set(edge.uses.values())
    if len(used) == 1:  # every partition depends on the same ones
        items = next(iter(used))
        chosen = [item for item in every if item in items]
        return dg.AllPartitionMapping() if len(chosen) == len(every) else dg.SpecificPartitionsPartitionMapping(chosen)
    if user.items == every and all(items == {item} for item, items in edge.uses.items()):
        return dg.IdentityPartitionMapping()
    return dg.StaticPartitionMapping(
        {item: [by for by in edge.uses if item in edge.uses[by]] for item in every}  # type: ignore[misc]
    )


def broken_file_asset(file: str, error: Exception) -> dg.AssetsDefinition:
    """An asset that shows why a file cannot be read, in the graph, where people look first."""

    @dg.asset(name=f"{file.replace('.', '_')}_is_broken", group_name="error", description=f"```\n{error}\n```")
    def fail() -> None:
        raise dg.Failure(description=str(error), allow_retries=False)

    return fail
