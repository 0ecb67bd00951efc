"""A run launcher that also notices that a run's process is gone.

Dagster's own learns of a killed process from the code server that started it. Where that server was killed too, or the
run was made without one, the run would count as started for ever, and keep its place in the pool.
"""

import os

import psutil
from dagster import DagsterEventType, DagsterRun

from assets.dagster_internals import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from pipelines.jobs.names import HOST_TAG


class WatchfulRunLauncher(DefaultRunLauncher):
    """For run_launcher in dagster.yaml; the runs that it launches are on this machine."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """FAILED where the process that wrote the run's first events is gone, or another one has its number by now."""
        here = os.uname().nodename
        if run.tags.get(HOST_TAG, here) != here:
            return CheckRunHealthResult(WorkerStatus.RUNNING)  # a process of another machine cannot be seen from here
        for record in self._instance.all_logs(run.run_id, DagsterEventType.ENGINE_EVENT):
            event = record.dagster_event
            number = event.engine_event_data.metadata.get("pid") if event else None
            if number and number.value:
                if _is_alive(int(str(number.value)), at=record.timestamp):
                    return CheckRunHealthResult(WorkerStatus.RUNNING)
                return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {number.value} is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)  # it has not reported its process yet


def _is_alive(number: int, *, at: float) -> bool:
    try:
        process = psutil.Process(number)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= at + 1.0
    except psutil.NoSuchProcess:
        return False
