"""Why a run failed, in a sentence: what people are told, by whatever way."""

from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation

EVENTS = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.STEP_FAILURE}
"""What `reason` reads."""


def reason(events: Iterable[dg.DagsterEvent]) -> str | None:
    """What the first step that failed said; before it, of a check that stops what comes after, what it found.

    None where no step failed: the run's process did not get so far, or was killed.
    """
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if check.blocking and not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                return f"{check.asset_key.to_user_string()}: the check {check.check_name} failed: {_found(check)}"
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data and failure.user_failure_data.description:
                return failure.user_failure_data.description
            if failure.error:
                return failure.error.to_string()
    return None


def _found(check: AssetCheckEvaluation) -> str:
    """In its own words, or else its figures."""
    return check.description or ", ".join(f"{name} {value.value}" for name, value in check.metadata.items())
