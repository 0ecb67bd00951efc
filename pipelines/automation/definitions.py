"""What happens by itself, once somebody has switched it on: a schedule and a sensor that retrain, each thing once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from assets.raw_data import RAW, observation, version_of_records
from deepmark.data.ingest.raw_version import read_raw_version
from deepmark.errors import DeepmarkError
from deepmark.params import AutomationParams
from deepmark.workspace.layout import Workspace
from pipelines.automation.failure_alerts import tell_of_failures
from pipelines.automation.retry_sensor import second_tries
from pipelines.jobs import RETRAIN


def automation(workspace: Path, params: AutomationParams, jobs: Sequence) -> dg.Definitions:
    """The schedule and the sensors; the two that retrain are off until they are switched on."""
    return dg.Definitions(
        schedules=[_weekly_retraining(params)],
        sensors=[_raw_data_settled(workspace, params), tell_of_failures, second_tries(jobs)],
    )


def watched(defs: dg.Definitions, params: AutomationParams) -> dg.Definitions:
    """The same assets; a report or a champion that nobody has renewed for its days is shown as out of date.

    A champion is renewed by every `promote` that ends well, also one that finds it still the newest; a candidate that
    is refused renews nothing.
    """
    days = {"report": params.report_days, "champion": params.champion_days}

    def with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
        allowed = days.get(spec.key.to_user_string())
        if allowed is None:
            return spec
        return dg.apply_freshness_policy(spec, dg.FreshnessPolicy.time_window(fail_window=timedelta(days=allowed)))

    return defs.map_asset_specs(func=with_policy)


def _weekly_retraining(params: AutomationParams) -> dg.ScheduleDefinition:
    @dg.schedule(
        cron_schedule=params.schedule,
        execution_timezone=params.timezone,
        job_name=RETRAIN,
        description="Retrains when automation.schedule of params.yaml says; what has not changed is not made again.",
    )
    def weekly_retraining(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"scheduled {context.scheduled_execution_time.isoformat()}")

    return weekly_retraining


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What the sensor remembers between two looks."""

    version: str | None = None
    """Of the raw files at the last look; None before the first."""

    since: float = 0.0
    """When they were first seen so, seconds since 1970."""

    used: str | None = None
    """The version that results were made from, or a retraining was asked for."""


def look(
    before: Watch, *, now: float, version: str, of_records: str | None, settled: float
) -> tuple[Watch, str | None]:
    """What to remember after a look at the raw files, and the run key of a retraining where it is time for one.

    The time at which a version was first seen is part of its key: files that are put back as they were are news, a
    look that is repeated because its end was not recorded is none.
    """
    if version != before.version:
        before = replace(before, version=version, since=now)
    if version in (before.used, of_records):
        return replace(before, used=version), None
    if now - before.since < settled:
        return before, None
    return replace(before, used=version), f"raw {version} since {before.since:.0f}"


def _raw_data_settled(workspace: Path, params: AutomationParams) -> dg.SensorDefinition:
    @dg.sensor(
        job_name=RETRAIN,
        minimum_interval_seconds=max(1, round(60 * params.look_every_minutes)),
        description="Retrains when files under data/raw are not those that records were made of, and have been left "
        "alone for automation.settled_minutes.",
    )
    def raw_data_settled(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            raw = read_raw_version(Workspace(workspace).raw)
        except DeepmarkError as error:
            return dg.SkipReason(str(error))
        before = _remembered(context.cursor)
        after, key = look(
            before,
            now=time.time(),
            version=raw.digest,
            of_records=version_of_records(context.instance),
            settled=60 * params.settled_minutes,
        )
        changed = raw.digest != before.version
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=key)] if key else [],
            skip_reason=None if key else _why_not(after, raw.digest, params),
            asset_events=[observation(raw)] if changed else [],
            cursor=TypeAdapter(Watch).dump_json(after).decode(),
        )

    return raw_data_settled


def _why_not(after: Watch, version: str, params: AutomationParams) -> str:
    if after.used == version:
        return f"{RAW} is as it was when it was last used."
    return f"{RAW} has changed; a retraining starts once it was left alone for {params.settled_minutes:g} minutes."


def _remembered(cursor: str | None) -> Watch:
    try:
        return TypeAdapter(Watch).validate_json(cursor or "{}")
    except ValidationError:  # somebody edited it in the UI, or it is an older release's
        return Watch()
