"""The schedule and the sensors of a workspace; the two that retrain are off until somebody switches them on."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from deepmark.params import AutomationParams
from pipelines.automation.failure_alerts import failure_alert_sensor
from pipelines.automation.raw_data_sensor import raw_data_sensor
from pipelines.automation.retry_sensor import retry_sensor
from pipelines.automation.schedule import weekly_retraining


def automation(workspace: Path, params: AutomationParams, jobs: Sequence) -> dg.Definitions:
    """`jobs` are those whose killed runs are started again."""
    return dg.Definitions(
        schedules=[weekly_retraining(params)],
        sensors=[raw_data_sensor(workspace, params), failure_alert_sensor, retry_sensor(jobs)],
    )
