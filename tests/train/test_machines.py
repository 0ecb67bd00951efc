"""Trainings over two machines: they meet, agree with one machine, name the one that is lost, and go on."""

import socket
import subprocess
from collections.abc import Iterator

import psutil
import pytest
from hosts import Host, two_hosts
from trainings import kill_all, steps_saved, wait_until
from workspaces import copied, run, set_params

from deepmark.files import file_sha256
from deepmark.workspace import Workspace

PORT = 29517
PATIENCE = 16
"""Seconds that machines wait for each other in these tests."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    with two_hosts() as both:
        yield both


@pytest.fixture(scope="module")
def one_machine(sharded_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The sha256 of what two processes on one machine learn."""
    workspace = copied(sharded_once, tmp_path_factory.mktemp("one"))
    set_params(workspace, train={"launch": {"nproc_per_node": 2}})
    done = run("deepmark", "train", cwd=workspace.root)
    assert done.code == 0, done.err
    return file_sha256(workspace.model_file)


def over(hosts: tuple[Host, Host], workspace: Workspace, **train: object) -> Workspace:
    rendezvous = f"{hosts[0].address}:{PORT}"
    launch = {"nnodes": 2, "nproc_per_node": 1, "rendezvous": rendezvous, "timeout_seconds": PATIENCE}
    return set_params(workspace, train={"checkpoint_minutes": 0, "launch": launch, **train})


def ends(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    found = []
    for process in processes:
        out, err = process.communicate(timeout=240)
        found.append((process.returncode, out, err))
    return found


@pytest.mark.slow
def test_two_machines_learn_what_two_processes_on_one_do(hosts, sharded, one_machine):
    workspace = over(hosts, sharded)
    (code, out, err), other = ends([host.train(workspace.root) for host in hosts])

    assert (code, other[0]) == (0, 0), err + other[2]
    assert file_sha256(workspace.model_file) == one_machine
    assert '"epochs": 2' in out
    assert other[1] == ""


@pytest.mark.slow
@pytest.mark.parametrize(("lost", "cable"), [(0, "cut"), (1, "whole")])
def test_a_lost_machine_is_named_and_both_go_on_from_there(hosts, sharded, one_machine, lost, cable):
    workspace = over(hosts, sharded)
    survivor, dead = hosts[1 - lost], hosts[lost]
    processes = {host.name: host.train(workspace.root) for host in hosts}
    assert wait_until(lambda: steps_saved(workspace.runs / "train") >= 1, seconds=120)
    if cable == "cut":
        dead.cut_cable()
    kill_all(processes[dead.name])
    ((code, out, err),) = ends([processes[survivor.name]])
    dead.join_cable()

    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(
        f"deepmark train: machine {dead.name} ({dead.address}, rank {lost}) was lost"
    )
    assert "Traceback" not in err
    assert not workspace.checkpoint.exists()

    (code, _, err), other = ends([host.train(workspace.root) for host in hosts])
    assert (code, other[0]) == (0, 0), err + other[2]
    assert file_sha256(workspace.model_file) == one_machine


@pytest.mark.slow
def test_a_machine_that_is_told_to_end_tells_the_other(hosts, sharded, one_machine):
    workspace = over(hosts, sharded)
    processes = [host.train(workspace.root) for host in hosts]
    assert wait_until(lambda: steps_saved(workspace.runs / "train") >= 1, seconds=120)
    processes[1].terminate()
    (code, _, err), told = ends(processes)

    assert (code, told[0]) == (1, 1)
    assert told[2].splitlines()[-1].startswith("deepmark train: stopped by SIGTERM.")
    assert "was told to end" in err.splitlines()[-1]
    assert "Traceback" not in err + told[2]

    (code, _, err), other = ends([host.train(workspace.root) for host in hosts])
    assert (code, other[0]) == (0, 0), err + other[2]
    assert file_sha256(workspace.model_file) == one_machine


def test_what_the_user_can_mend_on_one_machine_is_told_on_both(hosts, sharded):
    workspace = over(hosts, sharded)
    offline = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    (code, _, err), other = ends([host.train(workspace.root, **offline) for host in hosts])

    assert (code, other[0]) == (1, 1)
    assert err.count("deepmark train: MLflow at http://127.0.0.1:9 cannot be used") == 1
    named = f"deepmark train: machine {hosts[0].name} ({hosts[0].address}, rank 0) failed: "
    assert other[2].count(f"{named}DeepmarkError: MLflow at http://127.0.0.1:9 cannot be used") == 1
    assert "Traceback" not in err + other[2]


@pytest.mark.slow
def test_a_process_that_is_killed_is_named_where_it_ran(hosts, sharded):
    workspace = over(hosts, sharded)
    set_params(workspace, train={"batch_size": 6, "launch": {"nproc_per_node": 2}})
    processes = [host.train(workspace.root) for host in hosts]
    assert wait_until(lambda: steps_saved(workspace.runs / "train") >= 1, seconds=120)
    ranks = psutil.Process(processes[1].pid).children(recursive=True)
    next(each for each in ranks if each.environ().get("RANK") == "3").kill()
    (code, _, err), told = ends(processes)

    assert (code, told[0]) == (1, 1)
    assert told[2].splitlines()[-1].startswith("deepmark train: rank 3 of the training failed: killed by SIGKILL")
    assert "was lost" not in err


def test_a_machine_that_does_not_come_is_missed(sharded):
    launch = {"nnodes": 2, "rendezvous": f"127.0.0.1:{PORT}", "timeout_seconds": 3}
    done = run("deepmark", "train", cwd=set_params(sharded, train={"launch": launch}).root)

    assert (done.code, done.out) == (1, "")
    last = done.err.splitlines()[-1]
    assert last.startswith(f"deepmark train: only 1 of 2 machines met at 127.0.0.1:{PORT} within 3 s: ")
    assert socket.gethostname() in last
    assert "Traceback" not in done.err
