"""Alerts of failed runs: in the daemon's log, and to a webhook where DEEPMARK_WEBHOOK is set."""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping

import dagster as dg

from assets.dagster_internals import PARTITION_TAG, WILL_RETRY_TAG
from pipelines.jobs.failure_reason import EVENTS, failure_reason
from pipelines.jobs.names import CHAIN_TAG, FAILURE_ALERT_SENSOR, WHOLE_CHAIN

WEBHOOK = "DEEPMARK_WEBHOOK"
"""The environment variable with a URL that takes a POST of JSON; chat programs show the field `text`."""

TIMEOUT_SECONDS = 5.0
"""For each wait on the webhook, because a sensor that hangs holds up the others."""

MAX_CHARACTERS = 2000
"""Of an error in an alert; the run has the rest."""


@dg.run_failure_sensor(
    name=FAILURE_ALERT_SENSOR,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes failed runs to the daemon's log and, where DEEPMARK_WEBHOOK is set, posts them there.",
)
def failure_alert_sensor(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    run = context.dagster_run
    if run.tags.get(CHAIN_TAG, WHOLE_CHAIN) != WHOLE_CHAIN:
        return dg.SkipReason(f"Run {run.run_id} is part of a chain, which fails with it.")
    retry = "\nIt is started again." if run.tags.get(WILL_RETRY_TAG) == "true" else ""
    text = f"{run.job_name} failed: {_reason(context)}{retry}"
    context.log.error(f"{text}\n(run {run.run_id})")
    url = os.environ.get(WEBHOOK)
    if url:
        message = {"text": text, "job": run.job_name, "run_id": run.run_id, "partition": run.tags.get(PARTITION_TAG)}
        problem = post(url, message)
        if problem:
            context.log.warning(f"{WEBHOOK}: {problem}")
    return None


def post(url: str, message: Mapping[str, str | None]) -> str | None:
    """Send it once; returns the problem, or None. Never raises, because the alerts after this one must be sent too."""
    try:
        request = urllib.request.Request(url, json.dumps(message).encode(), {"content-type": "application/json"})
        if not url.startswith(("http://", "https://")):
            return "the URL must begin with http:// or https://"
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return f"answered {error.code} {error.reason}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"


def _reason(context: dg.RunFailureSensorContext) -> str:
    records = context.instance.all_logs(context.dagster_run.run_id, EVENTS)
    reason = failure_reason(record.dagster_event for record in records if record.dagster_event)
    return (reason or context.failure_event.message or "no reason was recorded")[:MAX_CHARACTERS]
