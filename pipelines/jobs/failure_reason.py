"""The reason why a run failed, as one message for people."""

from collections.abc import Iterable

import dagster as dg

EVENTS = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.STEP_FAILURE}
"""The events that `failure_reason` reads."""


def failure_reason(events: Iterable[dg.DagsterEvent]) -> str | None:
    """The message of the first blocking check that failed, or of the first step that failed, whichever came first.

    None where there is neither: the run's process failed before its first step, or was killed.
    """
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if check.blocking and not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                return f"{check.asset_key.to_user_string()}: the check {check.check_name} failed: {_result(check)}"
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data and failure.user_failure_data.description:
                return failure.user_failure_data.description
            if failure.error:
                return failure.error.to_string()
    return None


def _result(check: dg.AssetCheckEvaluation) -> str:
    return check.description or ", ".join(f"{name} {value.value}" for name, value in check.metadata.items())
