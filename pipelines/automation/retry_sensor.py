"""Runs that were killed while no code server was there, too: they get their second try as the others do.

Dagster starts a killed run once more at the moment its end is noticed, and drops that for good where the code server
is gone at that moment. It says so in the run's log, and that is what is looked for here.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import dagster as dg

AGAIN = "deepmark/again"
"""The tag of a run that was asked for here: how often."""

MOST = 2
"""Times; as max_retries in dagster.yaml."""

LOOK_SECONDS = 15

_DROPPED = "Failed to retry run"


def second_tries(jobs: Sequence) -> dg.SensorDefinition:
    """On from the start, as Dagster's own second tries are."""

    @dg.sensor(
        jobs=jobs,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=LOOK_SECONDS,
        description="Starts killed runs again that Dagster could not, because the code server was gone as well.",
    )
    def killed_runs_start_again(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = datetime.now().astimezone()
        since = datetime.fromisoformat(context.cursor) if context.cursor else now - timedelta(minutes=10)
        names = {job.name for job in jobs}
        dropped = [run for run in _dropped(context.instance, since) if run.job_name in names]
        return dg.SensorResult(
            run_requests=[_request(run) for run in dropped],
            skip_reason=None if dropped else "No run was killed that did not get its second try.",
            cursor=(now - timedelta(seconds=LOOK_SECONDS)).isoformat(),  # run keys keep out what is seen twice
        )

    return killed_runs_start_again


def _dropped(instance: dg.DagsterInstance, since: datetime) -> Iterator[dg.DagsterRun]:
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    for run in instance.get_runs(failed):
        events = instance.all_logs(run.run_id, dg.DagsterEventType.ENGINE_EVENT)
        if int(run.tags.get(AGAIN, 0)) < MOST and any(event.message == _DROPPED for event in events):
            yield run


def _request(run: dg.DagsterRun) -> dg.RunRequest:
    own = {name: value for name, value in run.tags.items() if not name.startswith((".", "dagster/"))}
    return dg.RunRequest(
        run_key=f"again {run.run_id}",
        job_name=run.job_name,
        run_config=run.run_config,
        partition_key=run.tags.get("dagster/partition"),
        tags={**own, AGAIN: str(1 + int(run.tags.get(AGAIN, 0)))},
    )
