"""Training on a Ray cluster of this machine alone; tests/cluster has clusters of several machines that are lost."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from processes import wait_until
from ray_head import Head, ray_head
from registered import flip_bit
from trainings import mlflow_runs, steps_saved
from workspaces import set_params

from deepmark.files import file_sha256
from deepmark.workspace.environment import tool
from deepmark.workspace.layout import Workspace


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head(2) as started:
        yield started


def train(head: Head, workspace: Workspace, *options: str, **variables: str) -> subprocess.Popen[str]:
    """`deepmark train` as a driver of the cluster, under way."""
    set_params(workspace, compute={"engine": "ray", "timeout_seconds": 30})
    words = [tool("deepmark"), "train", "--json", "--workspace", str(workspace.root), *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, env=head.variables | variables, stdout=pipe, stderr=pipe, text=True)


def end_of(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def workers_of(head: Head) -> list[psutil.Process]:
    """The processes that train in this cluster, and in no other of this machine."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            is_worker = each.cmdline()[:1] and "RayTrainWorker" in each.cmdline()[0]
            if is_worker and each.environ().get("RAY_AUTH_TOKEN_PATH") == head.variables["RAY_AUTH_TOKEN_PATH"]:
                found.append(each)
    return found


@pytest.mark.system
def test_two_processes_on_ray_learn_what_two_of_torchrun_do_and_a_lost_one_is_started_again(
    head, untrained_by_two, two_once
):
    workspace = untrained_by_two
    process = train(head, workspace)
    assert wait_until(lambda: steps_saved(workspace.runs / "train") >= 1 or process.poll() is not None, seconds=120)
    workers = workers_of(head)
    assert len(workers) == 2
    workers[1].kill()
    code, out, err = end_of(process)

    assert code == 0, err
    assert '"epochs": 2' in out
    assert file_sha256(workspace.model_file) == file_sha256(two_once.model_file)
    assert file_sha256(workspace.losses_file) == file_sha256(two_once.losses_file)
    assert err.count("the training goes on from its last checkpoint (restart 1 of 20)") == 1
    assert err.count("epoch 2/2: loss") == 1
    assert "Traceback" not in err
    assert list(mlflow_runs(workspace).values()) == ["FINISHED"]
    assert list((workspace.runs / "ray").iterdir()) == []


@pytest.mark.system
def test_what_the_user_can_mend_is_one_message_after_one_attempt(head, sharded):
    workspace = set_params(sharded, compute={"train_processes": 2})
    offline = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    code, out, err = end_of(train(head, workspace, **offline))

    assert (code, out) == (1, "")
    assert err.count("deepmark train: MLflow at http://127.0.0.1:9 cannot be used") == 1
    assert err.count("cannot be used") == 1
    assert "restart" not in err
    assert "Traceback" not in err


@pytest.mark.system
def test_damaged_shards_are_one_message_before_any_process_is_started(head, sharded):
    workspace = set_params(sharded, compute={"train_processes": 2})
    tar = next(workspace.shards("train").glob("*.tar"))
    flip_bit(tar)
    code, out, err = end_of(train(head, workspace))

    assert (code, out) == (1, "")
    assert err.count("deepmark train: ") == 1
    assert str(tar) in err
    assert "Traceback" not in err
    assert not (workspace.runs / "ray").exists()


@pytest.mark.system
def test_told_to_end_it_writes_a_checkpoint_and_says_so(head, untrained_by_two):
    workspace = set_params(untrained_by_two, train={"checkpoint_minutes": 60, "epochs": 40})
    process = train(head, workspace)
    assert wait_until(lambda: steps_saved(workspace.runs / "train") >= 3 or process.poll() is not None, seconds=120)
    os.kill(process.pid, signal.SIGTERM)
    code, _, err = end_of(process)

    assert code == 1
    assert err.splitlines()[-1].startswith("deepmark train: stopped by SIGTERM. The same command goes on")
    assert "Traceback" not in err
    assert set(mlflow_runs(workspace).values()) <= {"KILLED", "FAILED"}
