"""Training on a cluster whose machines are lost: the same bytes as on one machine, and nobody touches anything.

Three machines as network namespaces of this one (tests/helpers/cluster.py); gloo is told no network interface.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Host, cluster
from processes import wait_until
from trainings import mlflow_runs, steps_saved
from workspaces import copied, set_params

from deepmark.files import file_sha256
from deepmark.workspace.layout import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.system]

LONGEST_PAUSE = 90
"""Seconds from the loss of a machine to the next new checkpoint; 41 were measured for a kill on an idle machine."""

PATIENCE = 30
"""Seconds that processes wait for each other, and a process that was cut off for the others."""


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with cluster(cores=2, GLOO_SOCKET_IFNAME="") as started:
        yield started


@pytest.fixture
def workspace(sharded_once: Workspace, two_once: Workspace, tmp_path: Path) -> Workspace:
    """The workspace of `two_once` before its training, which goes to the cluster now."""
    made = copied(sharded_once, tmp_path)
    (made.root / "params.yaml").write_text((two_once.root / "params.yaml").read_text("utf-8"), "utf-8")
    return set_params(made, compute={"engine": "ray", "timeout_seconds": PATIENCE}, train={"checkpoint_minutes": 0})


def train(three: Cluster, workspace: Workspace, **variables: str) -> subprocess.Popen[str]:
    return three.driver("deepmark", "train", "--json", cwd=workspace.root, **variables)


def lost_while_training(three: Cluster, workspace: Workspace, host: Host, loss: str) -> tuple[str, float]:
    """What a training says that loses a machine after some steps, and the seconds until its next new checkpoint."""
    process = train(three, workspace)

    def has_saved(steps: int) -> bool:
        return process.poll() is not None or steps_saved(workspace.runs / "train") >= steps

    assert wait_until(lambda: has_saved(2), seconds=180)
    assert process.poll() is None, process.communicate()
    (host.kill if loss == "killed" else host.cut_cable)()
    lost, before = time.monotonic(), steps_saved(workspace.runs / "train")
    assert wait_until(lambda: has_saved(before + 1), seconds=240)
    pause = time.monotonic() - lost
    out, told = process.communicate(timeout=240)
    assert process.returncode == 0, told
    assert '"epochs": 2' in out
    return told, pause


@pytest.mark.parametrize(("name", "loss"), [("b", "killed"), ("a", "cut off")])
def test_a_machine_that_is_lost_costs_a_pause_and_no_bit(three, workspace, two_once, name, loss, record_property):
    host: Host = getattr(three, name)
    told, pause = lost_while_training(three, workspace, host, loss)
    print(f"{host.name} {loss}: {pause:.1f} s to the next new checkpoint\n{told}")
    record_property(f"seconds to the next new checkpoint, {loss}", round(pause, 1))
    three.restart(host)

    assert file_sha256(workspace.model_file) == file_sha256(two_once.model_file)
    assert file_sha256(workspace.losses_file) == file_sha256(two_once.losses_file)
    assert pause <= LONGEST_PAUSE
    assert "the training goes on from its last checkpoint (restart 1 of 20)" in told
    assert host.address in told
    assert "Traceback" not in told
    assert list(mlflow_runs(workspace).values()) == ["FINISHED"]


def test_what_the_user_can_mend_is_one_message_after_one_attempt(three, workspace):
    offline = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    process = train(three, workspace, **offline)
    out, told = process.communicate(timeout=240)

    assert (process.returncode, out) == (1, "")
    assert told.count("deepmark train: MLflow at http://127.0.0.1:9 cannot be used") == 1
    assert "restart" not in told
    assert "Traceback" not in told
