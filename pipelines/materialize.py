"""Makes the whole graph, without a server: `python -m pipelines.materialize --workspace DIR`.

A Dagster run has one set of partitions, so the graph takes several: one for each job and partition, in an order in
which they can run. They are recorded in the workspace's instance, where `dagster dev` shows them.
"""

import argparse
import os
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import dagster as dg

from assets.dvc.graph import Graph, read_graph
from assets.raw_data import observation
from deepmark.data.ingest.raw_version import read_raw_version
from deepmark.errors import DeepmarkError, nearest
from deepmark.workspace.layout import Workspace
from pipelines.definitions import build_definitions
from pipelines.failure_reason import reason
from pipelines.instance import open_instance
from pipelines.jobs import RELEASE
from pipelines.run_launcher import HOST

MAX_RETRIES = "dagster/max_retries"
"""Of runs by the daemon: it cannot start these, which are made in this process, once more."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Every event is in the instance; on the terminal they would bury what the stages say."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One Dagster run: a job on one of its partitions, or on none."""

    job: str
    partition: str | None
    assets: tuple[str, ...]

    def __str__(self) -> str:
        where = f" [{self.partition}]" if self.partition else ""
        return f"{self.job}{where}: {', '.join(self.assets)}"


def plan_runs(graph: Graph, select: Collection[str] = ()) -> list[PlannedRun]:
    """The runs that make every asset, or those of `select`, in an order in which they can run.

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


def materialize_all(
    workspace: Path,
    *,
    instance: dg.DagsterInstance | None = None,
    progress: Callable[[str], None] | None = None,
    select: Collection[str] = (),
    selection: dg.AssetSelection | None = None,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Bring every asset of dvc.yaml up to date, or those of `select`; returns the ids of the runs.

    With a `selection`, those assets instead, and after them its assets of the group `release`, which no stage makes.
    `tags` are given to each run.

    `progress` hears of each run before it starts: "run 2 of 8: prepare [validation]: records, shards". What is up to
    date already is not made again, and costs about a second.

    Raises DeepmarkError with the stage's own message where one fails; what comes after it is not tried. Raises
    KeyboardInterrupt where it was interrupted.
    """
    workspace = workspace.resolve()
    graph, defs = read_graph(workspace), build_definitions(workspace)
    runs = _plan_selected(graph, defs, selection) if selection else plan_runs(graph, select)
    done = []
    with nullcontext(instance) if instance else open_instance(workspace) as store:
        if any("records" in run.assets for run in runs):
            # Before: what changes while records are made is then seen as a change since.
            store.report_runless_asset_event(observation(read_raw_version(Workspace(workspace).raw)))
        for number, run in enumerate(runs, 1):
            if progress:
                progress(f"run {number} of {len(runs)}: {run}")
            done.append(_execute(defs, store, run, tags))
    return done


def _plan_selected(graph: Graph, defs: dg.Definitions, selection: dg.AssetSelection) -> list[PlannedRun]:
    assets = defs.resolve_asset_graph()
    names = {key.to_user_string(): key for key in selection.resolve(assets)}
    ours = [family.hints.asset for family in graph.families if family.hints.asset in names]
    release = tuple(sorted(name for name, key in names.items() if assets.get(key).group_name == RELEASE))
    last = [PlannedRun(job=RELEASE, partition=None, assets=release)] if release else []
    return [*(plan_runs(graph, ours) if ours else ()), *last]


def _execute(defs: dg.Definitions, instance: dg.DagsterInstance, run: PlannedRun, tags: Mapping[str, str]) -> str:
    result = defs.resolve_job_def(run.job).execute_in_process(
        instance=instance,
        partition_key=run.partition,
        asset_selection=[dg.AssetKey(asset) for asset in run.assets],
        run_config=_QUIET,
        tags={**tags, MAX_RETRIES: "0", HOST: os.uname().nodename},
        raise_on_error=False,
    )
    if _was_interrupted(result):
        raise KeyboardInterrupt  # which Dagster has turned into a run that failed
    if not result.success:
        why = reason(result.all_events) or "A run failed before its first step."
        raise DeepmarkError(f"{why}\n({run} failed; Dagster's run {result.run_id} has the whole log.)")
    return result.run_id


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return any(
        error and error.cls_name in ("KeyboardInterrupt", "DagsterExecutionInterruptedError") for error in errors
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--workspace", type=Path, default=Path(os.environ.get("DEEPMARK_WORKSPACE", ".")))
    parser.add_argument("--select", nargs="+", default=[], metavar="ASSET", help="only these, such as: records shards")
    arguments = parser.parse_args()
    try:
        materialize_all(arguments.workspace, select=arguments.select, progress=lambda line: print(line, flush=True))
    except DeepmarkError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on where this one was.")


if __name__ == "__main__":
    main()
