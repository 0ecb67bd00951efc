"""Runs of asset jobs in this process: one for each job and partition, in an order in which they can run."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import dagster as dg

from assets.dagster_internals import INTERRUPTIONS, MAX_RETRIES_TAG
from assets.dvc.graph import Graph
from assets.raw_data import observation
from deepmark.data.ingest.raw_version import read_raw_version
from deepmark.errors import DeepmarkError, nearest
from deepmark.workspace.layout import Workspace
from pipelines.jobs.failure_reason import failure_reason
from pipelines.jobs.names import HOST_TAG, RELEASE

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""No events on the terminal, where they would hide the output of the stages; the instance has them."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One Dagster run: a job on one of its partitions, or on none."""

    job: str
    partition: str | None
    assets: tuple[str, ...]

    def __str__(self) -> str:
        partition = f" [{self.partition}]" if self.partition else ""
        return f"{self.job}{partition}: {', '.join(self.assets)}"


class RunFailedError(DeepmarkError):
    """A run failed; the message is that of its stage, command or check."""

    def __init__(self, message: str, run: PlannedRun) -> None:
        super().__init__(message)
        self.run = run


def plan_runs(graph: Graph, select: Collection[str] = ()) -> list[PlannedRun]:
    """The runs that make every asset of dvc.yaml, or those of `select`.

    Raises DeepmarkError for a name that is not an asset.
    """
    names = [family.hints.asset for family in graph.families]
    for name in select:
        if name not in names:
            raise DeepmarkError(f"'{name}' is not an asset of {graph.workspace}/dvc.yaml. {nearest(name, names)}")
    runs = []
    for job, families in graph.jobs.items():
        assets = tuple(family.hints.asset for family in families if not select or family.hints.asset in select)
        for item in families[0].items or (None,):
            if assets:
                runs.append(PlannedRun(job=job, partition=item, assets=assets))
    return runs


def plan_selection(graph: Graph, defs: dg.Definitions, selection: dg.AssetSelection) -> list[PlannedRun]:
    """The runs that make the assets of a selection; those of the group `release`, which no stage makes, are last."""
    assets = defs.resolve_asset_graph()
    names = {key.to_user_string(): key for key in selection.resolve(assets)}
    of_stages = [family.hints.asset for family in graph.families if family.hints.asset in names]
    of_release = tuple(sorted(name for name, key in names.items() if assets.get(key).group_name == RELEASE))
    release = [PlannedRun(job=RELEASE, partition=None, assets=of_release)] if of_release else []
    return [*(plan_runs(graph, of_stages) if of_stages else ()), *release]


def execute_runs(
    graph: Graph,
    defs: dg.Definitions,
    runs: Sequence[PlannedRun],
    *,
    instance: dg.DagsterInstance,
    progress: Callable[[str], None] | None = None,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Execute runs of the jobs of `defs`, one after the other; returns their ids. `tags` are given to each.

    `progress` gets a line before each run: "run 2 of 8: prepare [validation]: records, shards". An asset that is up to
    date is not made again, and costs about a second.

    Raises RunFailedError with the stage's own message where one fails, and does not start the runs after it. Raises
    KeyboardInterrupt where it was interrupted.
    """
    if any("records" in run.assets for run in runs):
        # Observed before records are made, so that a file which changes meanwhile counts as changed since.
        instance.report_runless_asset_event(observation(read_raw_version(Workspace(graph.workspace).raw)))
    ids = []
    for number, run in enumerate(runs, 1):
        if progress:
            progress(f"run {number} of {len(runs)}: {run}")
        ids.append(execute_run(defs, instance, run, tags))
    return ids


def execute_run(
    defs: dg.Definitions, instance: dg.DagsterInstance, run: PlannedRun, tags: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Execute one run in this process; returns its id. The exceptions are those of `execute_runs`."""
    result = defs.resolve_job_def(run.job).execute_in_process(
        instance=instance,
        partition_key=run.partition,
        asset_selection=[dg.AssetKey(asset) for asset in run.assets],
        run_config=_QUIET,
        # The daemon could not start a run of this process again, which may be on another machine.
        tags={**tags, MAX_RETRIES_TAG: "0", HOST_TAG: os.uname().nodename},
        raise_on_error=False,
    )
    if _was_interrupted(result):
        raise KeyboardInterrupt  # which Dagster has turned into a run that failed
    if not result.success:
        reason = failure_reason(result.all_events) or "A run failed before its first step."
        raise RunFailedError(f"{reason}\n({run} failed; Dagster's run {result.run_id} has the whole log.)", run)
    return result.run_id


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return any(error and error.cls_name in INTERRUPTIONS for error in errors)
