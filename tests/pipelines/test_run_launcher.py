"""A run whose process is gone ends as failed, also one that was made without a server."""

import logging
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from processes import processes_in, wait_until
from workspaces import REPOSITORY

from pipelines.instance import open_instance
from pipelines.jobs.names import HOST_TAG


def monitor(instance: dg.DagsterInstance) -> None:
    """What the daemon does every `poll_interval_seconds`."""
    context = SimpleNamespace(instance=instance, create_request_context=lambda: None)
    assert not any(execute_run_monitoring_iteration(context, logging.getLogger("monitor")))


@pytest.fixture
def killed(workspace):
    """The instance of a workspace whose run, made without a server, was killed in the middle of a training."""
    (workspace / "endless").touch()
    for split in ("train", "validation"):
        (workspace / "data/shards" / split).mkdir(parents=True)
    command = [sys.executable, "-m", "pipelines.materialize", "--workspace", workspace, "--select", "checkpoint"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as running:
        assert wait_until((workspace / "started").exists, seconds=60)
        with open_instance(workspace) as instance:
            monitor(instance)
            assert [run.status.value for run in instance.get_runs()] == ["STARTED"]
            assert len(processes_in(workspace)) >= 4
            killed_at = time.monotonic()
            running.send_signal(signal.SIGKILL)
            running.wait(30)
            yield instance, killed_at


@pytest.mark.system
def test_a_run_whose_process_was_killed_leaves_no_process_and_ends_as_failed(workspace, killed):
    instance, killed_at = killed
    assert wait_until(lambda: processes_in(workspace) == [], seconds=5 - (time.monotonic() - killed_at))
    monitor(instance)

    (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert "is gone" in instance.all_logs(run.run_id, dg.DagsterEventType.RUN_FAILURE)[-1].message


@pytest.mark.system
def test_another_process_with_the_number_of_a_dead_one_does_not_count_as_alive(monkeypatch):
    @dg.job(executor_def=dg.in_process_executor)
    def nothing() -> None: ...

    ours = {"run_launcher": {"module": "pipelines.run_launcher", "class": "WatchfulRunLauncher"}}
    with dg.instance_for_test(overrides=ours) as instance:
        run = nothing.execute_in_process(instance=instance).dagster_run
        assert instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING

        younger = SimpleNamespace(status=lambda: "running", create_time=lambda: 9e9)
        monkeypatch.setattr(psutil, "Process", lambda _: younger)
        assert instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.FAILED


@pytest.mark.system
def test_a_run_that_has_not_reported_its_process_counts_as_running():
    ours = {"run_launcher": {"module": "pipelines.run_launcher", "class": "WatchfulRunLauncher"}}
    with dg.instance_for_test(overrides=ours) as instance:
        run = dg.DagsterRun(job_name="nothing")

        assert instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING


@pytest.mark.system
def test_a_run_on_another_machine_counts_as_running(monkeypatch):
    @dg.job(executor_def=dg.in_process_executor)
    def nothing() -> None: ...

    def gone(number: int) -> None:
        raise psutil.NoSuchProcess(number)

    ours = {"run_launcher": {"module": "pipelines.run_launcher", "class": "WatchfulRunLauncher"}}
    with dg.instance_for_test(overrides=ours) as instance:
        here, there = (
            nothing.execute_in_process(instance=instance, tags={HOST_TAG: host}).dagster_run
            for host in (os.uname().nodename, "another")
        )
        monkeypatch.setattr(psutil, "Process", gone)

        assert instance.run_launcher.check_run_worker_health(here).status == WorkerStatus.FAILED
        assert instance.run_launcher.check_run_worker_health(there).status == WorkerStatus.RUNNING
