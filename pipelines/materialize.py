"""Makes the whole graph, without a server: `python -m pipelines.materialize --workspace DIR`.

The runs are recorded in the workspace's instance, where `dagster dev` shows them.
"""

import argparse
import os
import sys
from collections.abc import Callable, Collection
from contextlib import nullcontext
from pathlib import Path

import dagster as dg

from assets.dvc.graph import read_graph
from deepmark.cli.demo import NOT_RELEASED
from deepmark.cli.errors import errors_told
from deepmark.errors import DeepmarkError
from pipelines.code_location import build_jobs
from pipelines.instance import open_instance
from pipelines.jobs.names import RELEASE
from pipelines.jobs.runs import RunFailedError, execute_runs, plan_runs, plan_selection


def materialize_all(
    workspace: Path,
    *,
    instance: dg.DagsterInstance | None = None,
    progress: Callable[[str], None] | None = None,
    select: Collection[str] = (),
    release: bool = False,
) -> list[str]:
    """Bring every asset of dvc.yaml up to date, or those of `select`; returns the ids of the runs.

    With `release`, candidate and champion follow. The runs are recorded in `instance`, by default the workspace's.
    `progress` and the exceptions are those of `execute_runs`.
    """
    graph = read_graph(workspace.resolve())
    defs = build_jobs(graph)
    runs = plan_runs(graph, select)
    if release:
        runs += plan_selection(graph, defs, dg.AssetSelection.groups(RELEASE))
    with nullcontext(instance) if instance else open_instance(graph.workspace) as store:
        return execute_runs(graph, defs, runs, instance=store, progress=progress)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--workspace", type=Path, default=Path(os.environ.get("DEEPMARK_WORKSPACE", ".")))
    parser.add_argument("--select", nargs="+", default=[], metavar="ASSET", help="only these, such as: records shards")
    parser.add_argument("--release", action="store_true", help="then register the checkpoint and promote it")
    arguments = parser.parse_args()
    with errors_told("pipelines.materialize"):
        try:
            materialize_all(
                arguments.workspace,
                select=arguments.select,
                release=arguments.release,
                progress=lambda line: print(line, flush=True),
            )
        except KeyboardInterrupt:
            raise DeepmarkError("interrupted. The same command goes on where this one was.") from None
        except RunFailedError as error:
            if error.run.job != RELEASE:
                raise
            print(error, file=sys.stderr)
            sys.exit(NOT_RELEASED)


if __name__ == "__main__":
    main()
