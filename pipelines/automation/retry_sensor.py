"""A sensor that starts killed runs again whose automatic retry Dagster dropped, because the code server was down.

Dagster retries a killed run at the moment when it notices the end of its process. If the code server is gone at that
moment, it drops the retry for good, and writes so to the run's log, which is where this sensor finds it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import dagster as dg

from assets.dagster_internals import OWN_TAGS, PARTITION_TAG, RETRY_DROPPED
from pipelines.jobs.names import RETRY_SENSOR, RETRY_TAG

MAX_RETRIES = 2
"""As max_retries in dagster.yaml."""

INTERVAL_SECONDS = 15


def retry_sensor(jobs: Sequence) -> dg.SensorDefinition:
    """It is on from the start, as Dagster's own retries are."""

    @dg.sensor(
        name=RETRY_SENSOR,
        jobs=jobs,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=INTERVAL_SECONDS,
        description="Starts killed runs again that Dagster could not, because the code server was gone as well.",
    )
    def request(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = datetime.now().astimezone()
        since = datetime.fromisoformat(context.cursor) if context.cursor else now - timedelta(minutes=10)
        names = {job.name for job in jobs}
        dropped = [run for run in _dropped(context.instance, since) if run.job_name in names]
        return dg.SensorResult(
            run_requests=[_request(run) for run in dropped],
            skip_reason=None if dropped else "Every run that was killed has been started again.",
            # Overlapping intervals: the run key keeps a run from being requested twice.
            cursor=(now - timedelta(seconds=INTERVAL_SECONDS)).isoformat(),
        )

    return request


def _dropped(instance: dg.DagsterInstance, since: datetime) -> Iterator[dg.DagsterRun]:
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    for run in instance.get_runs(failed):
        events = instance.all_logs(run.run_id, dg.DagsterEventType.ENGINE_EVENT)
        if int(run.tags.get(RETRY_TAG, 0)) < MAX_RETRIES and any(event.message == RETRY_DROPPED for event in events):
            yield run


def _request(run: dg.DagsterRun) -> dg.RunRequest:
    own_tags = {name: value for name, value in run.tags.items() if not name.startswith(OWN_TAGS)}
    return dg.RunRequest(
        run_key=f"again {run.run_id}",
        job_name=run.job_name,
        run_config=run.run_config,
        partition_key=run.tags.get(PARTITION_TAG),
        tags={**own_tags, RETRY_TAG: str(1 + int(run.tags.get(RETRY_TAG, 0)))},
    )
