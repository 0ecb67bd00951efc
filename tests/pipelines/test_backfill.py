"""A backfill of partitions, as the button "Materialize all" starts it and the daemon executes it."""

import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster_graphql.schema import create_schema

from deepmark.schema import STRATEGIES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Dagster's own use of what it deprecates

LAUNCH = """
mutation ($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
"""What the button of the UI sends."""

RUNS_IN_THIS_PROCESS = {
    "run_launcher": {
        "module": "dagster._core.launcher.sync_in_memory_run_launcher",
        "class": "SyncInMemoryRunLauncher",
    },
}


@pytest.fixture
def server(workspace: Path, tmp_path: Path) -> Iterator[WorkspaceProcessContext]:
    """What the webserver and the daemon share: an instance, and the code location of the workspace."""
    location = workspace / "location.py"
    location.write_text(
        "from pathlib import Path\nfrom pipelines.code_location import build_definitions\n"
        f"defs = build_definitions(Path({str(workspace)!r}))\n"
    )
    origin = LoadableTargetOrigin(executable_path=sys.executable, python_file=str(location))
    target = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(origin, location_name="toy"))
    with (
        dg.instance_for_test(overrides=RUNS_IN_THIS_PROCESS) as instance,
        WorkspaceProcessContext(instance, target) as context,
    ):
        yield context


@pytest.mark.system
def test_a_backfill_makes_the_partitions_of_all_strategies(server, workspace):
    (workspace / "data/predictions").mkdir()
    for strategy in STRATEGIES:
        (workspace / f"data/predictions/{strategy}.parquet").touch()
    (workspace / "data/records/validation.parquet").mkdir(parents=True)
    instance, metrics = server.instance, dg.AssetKey("metrics")
    asked = {"assetSelection": [{"path": metrics.path}], "partitionNames": [str(one) for one in STRATEGIES]}
    answer = create_schema().execute(
        LAUNCH, variable_values={"backfillParams": asked}, context_value=server.create_request_context()
    )
    assert answer.data["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess", answer

    for look in (_look_at_backfills, _look_at_the_queue, _look_at_backfills):  # every 30 s, 5 s, 30 s
        assert list(filter(None, look(server))) == []

    assert instance.get_materialized_partitions(metrics) == set(STRATEGIES)
    assert all((workspace / f"metrics/{strategy}.json").is_file() for strategy in STRATEGIES)
    assert {run.tags["dagster/partition"] for run in instance.get_runs()} == set(STRATEGIES)
    (backfill,) = instance.get_backfills()
    assert backfill.status == BulkActionStatus.COMPLETED_SUCCESS


def _look_at_backfills(server: WorkspaceProcessContext) -> Iterable[object]:
    return execute_backfill_iteration(server, logging.getLogger("daemon"))


def _look_at_the_queue(server: WorkspaceProcessContext) -> Iterable[object]:
    return QueuedRunCoordinatorDaemon(interval_seconds=5).run_iteration(server)
