"""Reports to Dagster from a training that Dagster started."""

import os

RUN_VARIABLE = "DAGSTER_RUN_ID"
"""The environment variable with the id of the Dagster run that started a command."""


def report_epoch(values: dict[str, float], epoch: int) -> None:
    """Write an epoch's numbers to Dagster's event log, where Dagster started a parent of this process; else nothing.

    Call it on rank 0 only.
    """
    if "DAGSTER_PIPES_CONTEXT" not in os.environ:
        return
    from dagster_pipes import PipesContext, open_dagster_pipes

    if not PipesContext.is_initialized():
        open_dagster_pipes()  # the process that Dagster started closes it, after its children have ended
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
    PipesContext.get().log.info(f"epoch {epoch}: {numbers}")
