"""A killed run that Dagster could not start again is requested once more."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg
import pytest

from assets.dagster_internals import RETRY_DROPPED
from pipelines.automation.retry_sensor import MAX_RETRIES, retry_sensor
from pipelines.jobs.names import RETRY_TAG


@dg.job(executor_def=dg.in_process_executor)
def retrain() -> None: ...


@dg.job(executor_def=dg.in_process_executor, partitions_def=dg.StaticPartitionsDefinition(["train"]))
def prepare() -> None: ...


@dg.job(executor_def=dg.in_process_executor)
def of_others() -> None: ...


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def killed(
    instance: dg.DagsterInstance, *said: str, job: dg.JobDefinition = retrain, tags: dict[str, str] | None = None
) -> dg.DagsterRun:
    """A run whose process was killed, with the events that Dagster wrote to it afterwards."""
    run = instance.create_run_for_job(
        job, tags={"deepmark/chain": "whole", "dagster/will_retry": "false"} | (tags or {})
    )
    for words in said:
        instance.report_engine_event(words, run)
    instance.report_run_failed(run)
    return run


def requests(instance: dg.DagsterInstance, *, cursor: str | None = None) -> list[dg.RunRequest]:
    sensor = retry_sensor([retrain, prepare])
    context = dg.build_sensor_context(instance, cursor=cursor, definitions=dg.Definitions(jobs=[retrain, prepare]))
    return list(sensor.evaluate_tick(context).run_requests or [])


def test_a_run_whose_retry_was_dropped_is_requested_again(instance):
    run = killed(instance, RETRY_DROPPED)
    (request,) = requests(instance)

    assert (request.job_name, request.run_key) == ("retrain", f"again {run.run_id}")
    assert request.tags[RETRY_TAG] == "1"
    assert request.tags["deepmark/chain"] == "whole"
    assert "dagster/will_retry" not in request.tags


def test_a_retry_has_the_partition_of_the_run(instance):
    killed(instance, RETRY_DROPPED, job=prepare, tags={"dagster/partition": "train"})
    (request,) = requests(instance)

    assert (request.job_name, request.partition_key) == ("prepare", "train")


def test_runs_that_dagster_retries_itself_or_that_failed_by_an_error_are_not_requested(instance):
    killed(instance)
    killed(instance, "Retrying the run")

    assert requests(instance) == []


def test_runs_of_jobs_that_are_not_ours_are_left_alone(instance):
    killed(instance, RETRY_DROPPED, job=of_others)

    assert requests(instance) == []


def test_a_run_that_is_killed_every_time_is_given_up(instance):
    killed(instance, RETRY_DROPPED, tags={RETRY_TAG: str(MAX_RETRIES)})

    assert requests(instance) == []


def test_failures_before_the_cursor_are_not_looked_at(instance):
    killed(instance, RETRY_DROPPED)
    later = datetime.now().astimezone() + timedelta(seconds=1)

    assert requests(instance, cursor=later.isoformat()) == []


def test_dagster_still_writes_this_event():
    from dagster._daemon.auto_run_reexecution import auto_run_reexecution

    source = auto_run_reexecution.__loader__.get_source(auto_run_reexecution.__name__)
    assert f'"{RETRY_DROPPED}"' in source
