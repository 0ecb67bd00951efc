"""The schedule that retrains at the times of automation.schedule in params.yaml."""

import dagster as dg

from deepmark.params import AutomationParams
from pipelines.jobs.names import RETRAIN, WEEKLY_RETRAINING


def weekly_retraining(params: AutomationParams) -> dg.ScheduleDefinition:
    """Its run key is the scheduled time, so each time starts one run."""

    @dg.schedule(
        name=WEEKLY_RETRAINING,
        cron_schedule=params.schedule,
        execution_timezone=params.timezone,
        job_name=RETRAIN,
        description="Retrains when automation.schedule of params.yaml says; what has not changed is not made again.",
    )
    def request(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"scheduled {context.scheduled_execution_time.isoformat()}")

    return request
