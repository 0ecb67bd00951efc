"""Jobs and chains: the runs that they make, where they stop, and what is tried again."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import RunFailureReason
from toy_workspace import make_workspace
from workspaces import REPOSITORY

from assets import dvc_asset as dvc_assets
from assets.dvc.graph import Graph
from pipelines import code_location
from pipelines.code_location import build_definitions
from pipelines.jobs.names import CHAIN_TAG

pytestmark = pytest.mark.slow

TWO_STEPS = """
stages:
  first: {cmd: '%s', outs: [one], meta: {dagster: {asset: first, group: training}}}
  second: {cmd: echo 2 > two, deps: [one], outs: [two], meta: {dagster: {asset: second, group: evaluation}}}
"""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def toy(folder: Path, command: str) -> Path:
    make_workspace(folder, TWO_STEPS % command)
    return folder


def execute(workspace: Path, job: str, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    defs = build_definitions(workspace)
    return defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)


def runs(instance: dg.DagsterInstance) -> list[tuple[str, str]]:
    """Job and status of every run, the first first."""
    return [(run.job_name, run.status.value) for run in reversed(instance.get_runs())]


def reason(result: dg.ExecuteInProcessResult) -> str:
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    return failure.step_failure_data.user_failure_data.description


def test_the_jobs_are_those_of_dvc_yaml_two_chains_and_experiments():
    names = [job.name for job in build_definitions(REPOSITORY).get_repository_def().get_all_jobs()]

    stages = ("prepare", "train", "evaluate", "export", "audit", "publish_report")
    assert sorted(names) == sorted(["__ASSET_JOB", *stages, "release", "train_and_evaluate", "retrain", "experiment"])


def test_a_chain_is_one_run_that_makes_the_others_in_order_and_dvc_yaml_is_read_once(tmp_path, instance, reads):
    result = execute(toy(tmp_path, "echo 1 > one"), "train_and_evaluate", instance)

    assert result.success
    assert reads == [tmp_path / "dvc.yaml"]
    assert runs(instance) == [
        ("train_and_evaluate", "SUCCESS"),
        ("training", "SUCCESS"),
        ("evaluation", "SUCCESS"),
    ]
    links = [run.tags[CHAIN_TAG] for run in instance.get_runs() if run.job_name != "train_and_evaluate"]
    assert links == [result.run_id] * 2


def test_a_chain_stops_at_a_stage_that_fails_and_shows_its_message(tmp_path, instance):
    result = execute(toy(tmp_path, "echo no shards >&2; exit 1"), "retrain", instance)

    assert runs(instance) == [("retrain", "FAILURE"), ("training", "FAILURE")]
    assert reason(result).startswith("no shards\n")
    assert not (tmp_path / "two").exists()


def test_an_interrupted_chain_is_no_step_failure_and_may_be_started_again(tmp_path, instance, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dvc_assets, "repro", interrupted)
    result = execute(toy(tmp_path, "echo 1 > one"), "retrain", instance)

    (failure,) = [event for event in result.all_events if event.is_failure and not event.is_step_event]
    assert failure.job_failure_data.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION
    assert runs(instance) == [("retrain", "FAILURE"), ("training", "FAILURE")]


def test_a_check_that_fails_stops_the_chain_after_its_asset(workspace, instance):
    for split in ("train", "validation"):
        (workspace / "data/shards" / split).mkdir(parents=True)
    commands = workspace / "commands.py"
    commands.write_text(commands.read_text("utf-8").replace('"loss": 4.0', '"loss": float("nan")'), "utf-8")

    result = execute(workspace, "train_and_evaluate", instance)

    assert runs(instance) == [("train_and_evaluate", "FAILURE"), ("train", "FAILURE")]
    assert reason(result).startswith("checkpoint: the check loss_is_finite failed: loss nan, validation_loss 5.0\n")


def test_a_release_comes_last_in_retrain_and_has_a_job_of_its_own(tmp_path, instance, monkeypatch):
    def release(_: Graph) -> list[dg.AssetsDefinition]:
        @dg.asset(group_name="release", deps=["second"])
        def candidate() -> None: ...

        @dg.asset(group_name="release", deps=[candidate])
        def champion() -> None: ...

        return [candidate, champion]

    monkeypatch.setitem(code_location.GROUPS, "release", release)
    workspace = toy(tmp_path, "echo 1 > one")

    assert execute(workspace, "train_and_evaluate", instance).success
    assert execute(workspace, "retrain", instance).success
    assert [job for job, _ in runs(instance)] == [
        *["train_and_evaluate", "training", "evaluation"],
        *["retrain", "training", "evaluation", "release"],
    ]
    assert instance.get_latest_materialization_event(dg.AssetKey("champion")) is not None


def test_a_stage_that_was_killed_is_tried_again(tmp_path, instance, monkeypatch):
    monkeypatch.setattr(dvc_assets, "RETRY_SECONDS", 0)
    command = "test -e killed && echo 1 > one || { touch killed; kill -KILL $$; }"
    result = execute(toy(tmp_path, command), "training", instance)

    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == ["first"]


def test_a_stage_that_is_killed_every_time_is_given_up(tmp_path, instance, monkeypatch):
    monkeypatch.setattr(dvc_assets, "RETRY_SECONDS", 0)
    result = execute(toy(tmp_path, "kill -KILL $$"), "training", instance)

    assert not result.success
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == dvc_assets.RETRIES


def test_a_stage_that_exits_with_an_error_is_not_tried_again(tmp_path, instance):
    result = execute(toy(tmp_path, "exit 1"), "training", instance)

    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
