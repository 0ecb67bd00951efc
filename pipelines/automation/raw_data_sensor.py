"""The sensor that retrains when the raw files have changed and then stayed the same for a while."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from assets.raw_data import RAW, observation, version_of_records
from deepmark.data.ingest.raw_version import read_raw_version
from deepmark.errors import DeepmarkError
from deepmark.params import AutomationParams
from deepmark.workspace.layout import Workspace
from pipelines.jobs.names import RAW_DATA_SENSOR, RETRAIN


@dataclass(frozen=True, kw_only=True)
class SensorState:
    """What the sensor remembers from one evaluation to the next; Dagster stores it as JSON, the sensor's cursor."""

    version: str | None = None
    """The version of the raw files at the last evaluation; None before the first."""

    since: float = 0.0
    """When that version was first seen, seconds since 1970."""

    used: str | None = None
    """The version that results were made from, or that a retraining was requested for."""


def next_state(
    state: SensorState, *, now: float, version: str, of_records: str | None, settle_seconds: float
) -> tuple[SensorState, str | None]:
    """What to remember of this evaluation, and the run key of a retraining if it is time for one.

    `version` is that of the raw files now, `of_records` the one that records were made from. The time at which a
    version was first seen is part of the run key: files that are restored to an earlier state are a change, but an
    evaluation that is repeated, because its end was not recorded, requests the same run.
    """
    if version != state.version:
        state = replace(state, version=version, since=now)
    if version in (state.used, of_records):
        return replace(state, used=version), None
    if now - state.since < settle_seconds:
        return state, None
    return replace(state, used=version), f"raw {version} since {state.since:.0f}"


def raw_data_sensor(workspace: Path, params: AutomationParams) -> dg.SensorDefinition:
    """It also records an observation of the raw files when they have changed."""

    @dg.sensor(
        name=RAW_DATA_SENSOR,
        job_name=RETRAIN,
        minimum_interval_seconds=max(1, round(60 * params.look_every_minutes)),
        description="Retrains when files under data/raw differ from those that records were made of, and have not "
        "changed for automation.settled_minutes.",
    )
    def request(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            raw = read_raw_version(Workspace(workspace).raw)
        except DeepmarkError as error:
            return dg.SkipReason(str(error))
        before = _load_state(context.cursor)
        after, run_key = next_state(
            before,
            now=time.time(),
            version=raw.digest,
            of_records=version_of_records(context.instance),
            settle_seconds=60 * params.settled_minutes,
        )
        has_changed = raw.digest != before.version
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=run_key)] if run_key else [],
            skip_reason=None if run_key else _skip_reason(after, raw.digest, params),
            asset_events=[observation(raw)] if has_changed else [],
            cursor=TypeAdapter(SensorState).dump_json(after).decode(),
        )

    return request


def _skip_reason(after: SensorState, version: str, params: AutomationParams) -> str:
    if after.used == version:
        return f"{RAW} is as it was when it was last used."
    return f"{RAW} has changed; retraining starts when it has not changed for {params.settled_minutes:g} minutes."


def _load_state(cursor: str | None) -> SensorState:
    try:
        return TypeAdapter(SensorState).validate_json(cursor or "{}")
    except ValidationError:  # somebody edited it in the UI, or an older release wrote it
        return SensorState()
