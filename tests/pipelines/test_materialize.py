import sys

import dagster as dg
import pytest
from toy_workspace import ends_when_interrupted
from workspaces import REPOSITORY

from deepmark.errors import DeepmarkError
from pipelines.instance import dagster_home, open_instance
from pipelines.materialize import materialize_all


@pytest.mark.slow
def test_the_message_of_a_failing_stage_is_raised_and_no_run_after_it_starts(workspace, reads):
    for number in range(3, 13):
        (workspace / "data/raw/train" / f"{number}.jpg").touch()

    with pytest.raises(DeepmarkError) as error:
        materialize_all(workspace)

    assert str(error.value).startswith("deepmark ingest: data/raw/train/3.jpg: not a JPEG. Remove it")
    with open_instance(workspace) as instance:
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.FAILURE
    assert reads == [workspace / "dvc.yaml"]


def test_a_name_that_is_no_asset_is_refused_with_the_nearest_name(workspace):
    with pytest.raises(DeepmarkError, match=r"'shard' is not an asset.*Did you mean 'shards'"):
        materialize_all(workspace, select=["shard"])


def test_a_team_may_change_the_dagster_yaml_of_its_workspace(workspace):
    home = dagster_home(workspace)
    assert (home / "dagster.yaml").read_text() == (REPOSITORY / "dagster.yaml").read_text()

    (home / "dagster.yaml").write_text("telemetry: {enabled: false}")
    dagster_home(workspace)

    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}"


@pytest.mark.slow
def test_nothing_outlives_an_interrupted_run(workspace):
    """For a killed run see test_run_launcher.py."""
    (workspace / "endless").touch()
    for split in ("train", "validation"):
        (workspace / "data/shards" / split).mkdir(parents=True)
    command = [sys.executable, "-m", "pipelines.materialize", "--workspace", workspace, "--select", "checkpoint"]

    assert ends_when_interrupted(command, workspace)
