"""Dagster's own launcher of runs, which also notices that a run's process is gone.

Dagster's learns of a killed process from the code server that started it. Where that server was killed too, or the run
was made without one, the run would count as started for ever, and keep its place in the pool.
"""

import os

import psutil
from dagster import DagsterEventType, DagsterRun
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

HOST = "deepmark/host"
"""The tag of a run that was made without a server: the machine, which may not be the daemon's."""


class WatchfulRunLauncher(DefaultRunLauncher):
    """For run_launcher in dagster.yaml; what it launches is on this machine."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """FAILED where the process that wrote the run's first events is gone, or its number is another's by now."""
        here = os.uname().nodename
        if run.tags.get(HOST, here) != here:
            return CheckRunHealthResult(WorkerStatus.RUNNING)  # of other machines nothing is known
        for record in self._instance.all_logs(run.run_id, DagsterEventType.ENGINE_EVENT):
            event = record.dagster_event
            number = event.engine_event_data.metadata.get("pid") if event else None
            if number and number.value:
                if _is_alive(int(str(number.value)), at=record.timestamp):
                    return CheckRunHealthResult(WorkerStatus.RUNNING)
                return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {number.value} is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)  # it has not said which process it is


def _is_alive(number: int, *, at: float) -> bool:
    try:
        process = psutil.Process(number)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= at + 1.0
    except psutil.NoSuchProcess:
        return False
