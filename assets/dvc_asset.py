"""dvc.yaml as Dagster assets: a stage is an asset, its items are partitions, making it is `dvc repro` of that stage."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg

from assets.dvc.graph import Edge, Graph, StageFamily, read_data_version
from assets.dvc.repro import Outcome, StageEndedError, StageFailedError, is_up_to_date, repro
from assets.metadata.code_references import code_links
from assets.metadata.format import rounded
from deepmark.errors import DeepmarkError

Facts = Callable[[Path, str | None], Mapping[str, Any]]
"""What a person wants to see of something made: workspace and partition -> Dagster's metadata."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """Something that was made just now, as a check sees it."""

    root: Path
    """The workspace."""

    item: str | None
    """The partition."""

    before: Mapping[str, Any]
    """What the last materialization of the same partition showed; empty where this is the first."""


Check = Callable[[Made], dg.AssetCheckResult]
"""Whether it may be used. Its name and docstring are what people read; ERROR stops what comes after, WARN does not."""

DVC_POOL = "dvc"
"""Of every stage that has no pool of its own: stages that wait in a queue do not fight for DVC's lock."""

RETRIES = 2
"""Of a stage that was ended from outside; a training goes on from its checkpoint."""

RETRY_SECONDS = 10.0


def dvc_assets(
    graph: Graph,
    *,
    group: str,
    facts: Mapping[str, Facts] = MappingProxyType({}),
    checks: Mapping[str, Sequence[Check]] = MappingProxyType({}),
    sources: Mapping[str, Path] = MappingProxyType({}),
) -> list[dg.AssetsDefinition]:
    """The assets of one group, with what to show and what to check by asset name.

    `sources` are assets that no stage makes, by name, with the folder that each stands for. Facts and checks are read
    after every materialization, also one that changed nothing.
    """
    return [
        dvc_asset(
            graph,
            family,
            facts=facts.get(family.hints.asset),
            checks=checks.get(family.hints.asset, ()),
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
    checks: Sequence[Check] = (),
    sources: Sequence[str] = (),
) -> dg.AssetsDefinition:
    """One stage of dvc.yaml as an asset: named, placed and connected as the graph says."""
    hints = family.hints

    @dg.asset(
        name=hints.asset,
        group_name=hints.group,
        description=hints.description or None,
        kinds=set(hints.kinds),
        owners=list(hints.owners),
        metadata=code_links(graph.workspace, family.name),
        pool=hints.pool or DVC_POOL,
        partitions_def=dg.StaticPartitionsDefinition(list(family.items)) if family.items else None,
        deps=[*sources, *(_dep(edge, family) for edge in graph.edges(family))],
        check_specs=[
            dg.AssetCheckSpec(check.__name__, asset=hints.asset, description=check.__doc__, blocking=True)
            for check in checks
        ],
    )
    def made_by_dvc(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        item = context.partition_key if context.has_partition_key else None
        stage = family.stage(item)
        made = Made(root=graph.workspace, item=item, before=_shown_last(context, hints.asset, item) if checks else {})
        outcome = _brought_up_to_date(context, graph.workspace, stage.address)
        version = read_data_version(graph.workspace, stage)
        shown = facts(graph.workspace, item) if facts else {}
        return dg.MaterializeResult(
            metadata={"dvc": outcome, "command": stage.command, **rounded(shown)},
            data_version=dg.DataVersion(version) if version else None,
            check_results=[_checked(check, made) for check in checks],
        )

    return made_by_dvc


def _brought_up_to_date(context: dg.AssetExecutionContext, workspace: Path, stage: str) -> Outcome:
    """By `dvc repro`, where DVC finds something to do: starting it is most of what an unchanged stage costs."""
    if is_up_to_date(workspace, stage):
        print(f"Stage '{stage}' didn't change, skipping", flush=True)
        return "unchanged"
    return repro_in_run(context, workspace, stage)


def repro_in_run(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    workspace: Path,
    *stages: str,
    options: Sequence[str] = ("--single-item",),
    env: Mapping[str, str] = MappingProxyType({}),
) -> Outcome:
    """`dvc repro` under Pipes: what the commands report, however deep below, is in the run's event log at once."""
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
            return repro(workspace, *stages, options=options, env={**env, **session.get_bootstrap_env_vars()})
        except StageEndedError as error:
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error
        except StageFailedError as error:
            # What failed will fail again: most often a user's mistake.
            raise dg.Failure(description=str(error), allow_retries=False) from None


def _checked(check: Check, made: Made) -> dg.AssetCheckResult:
    try:
        result = check(made)
        return result._replace(check_name=check.__name__, metadata=rounded(result.metadata))
    except DeepmarkError as error:  # a file that is missing or of another release: nothing is known
        why = dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description=str(error))
        return why._replace(check_name=check.__name__)


def _shown_last(context: dg.AssetExecutionContext, asset: str, item: str | None) -> dict[str, Any]:
    chosen = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[item] if item else None)
    for record in context.instance.fetch_materializations(chosen, limit=1).records:
        if record.asset_materialization:
            return {name: value.value for name, value in record.asset_materialization.metadata.items()}
    return {}


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


def broken(file: str, error: Exception) -> dg.AssetsDefinition:
    """One asset that stands for a file which cannot be read, so that the error is seen where people look."""

    @dg.asset(name=f"{file.replace('.', '_')}_is_broken", group_name="error", description=f"```\n{error}\n```")
    def unreadable() -> None:
        raise dg.Failure(description=str(error), allow_retries=False)

    return unreadable
