"""What a training tells Dagster, where Dagster started it."""

import os

RUN_VARIABLE = "DAGSTER_RUN_ID"
"""The environment variable in which a command that Dagster started finds the run that it belongs to."""


def report_epoch(values: dict[str, float], epoch: int) -> None:
    """Show an epoch's numbers in Dagster's event log, where Dagster started us, however deep below it; else nothing.

    Call it on rank 0 only.
    """
    if "DAGSTER_PIPES_CONTEXT" not in os.environ:
        return
    from dagster_pipes import PipesContext, open_dagster_pipes

    if not PipesContext.is_initialized():
        open_dagster_pipes()  # closed by the process that Dagster started, when all below it have ended
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
    PipesContext.get().log.info(f"epoch {epoch}: {numbers}")
