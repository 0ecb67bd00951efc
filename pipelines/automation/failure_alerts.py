"""A run that failed is told to people: in the daemon's log, and to a webhook where DEEPMARK_WEBHOOK names one."""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from pipelines.failure_reason import EVENTS, reason
from pipelines.jobs import CHAINED, WHOLE

WEBHOOK = "DEEPMARK_WEBHOOK"
"""URL that takes a POST of JSON; chat programs show the field `text`."""

SECONDS = 5.0
"""For each wait on the webhook: a sensor that hangs holds up the others."""

LONGEST = 2000
"""Characters of an error; the run has the rest."""


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes failed runs to the daemon's log and, where DEEPMARK_WEBHOOK is set, posts them there.",
)
def tell_of_failures(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    run = context.dagster_run
    if run.tags.get(CHAINED, WHOLE) != WHOLE:
        return dg.SkipReason(f"Run {run.run_id} is part of a chain, which fails with it.")
    again = "\nIt is started again." if run.tags.get(WILL_RETRY_TAG) == "true" else ""
    text = f"{run.job_name} failed: {_reason(context)}{again}"
    context.log.error(f"{text}\n(run {run.run_id})")
    url = os.environ.get(WEBHOOK)
    if url:
        problem = post(
            url,
            {"text": text, "job": run.job_name, "run_id": run.run_id, "partition": run.tags.get("dagster/partition")},
        )
        if problem:
            context.log.warning(f"{WEBHOOK}: {problem}")
    return None


def post(url: str, message: Mapping[str, str | None]) -> str | None:
    """Send it once; what went wrong, or None. Never raises: that the news did not arrive must not stop the next."""
    try:
        request = urllib.request.Request(url, json.dumps(message).encode(), {"content-type": "application/json"})
        if not url.startswith(("http://", "https://")):
            return "the URL must begin with http:// or https://"
        with urllib.request.urlopen(request, timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return f"answered {error.code} {error.reason}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"


def _reason(context: dg.RunFailureSensorContext) -> str:
    records = context.instance.all_logs(context.dagster_run.run_id, EVENTS)
    why = reason(record.dagster_event for record in records if record.dagster_event)
    return (why or context.failure_event.message or "no reason was recorded")[:LONGEST]
