"""Trainings on two machines: same result as on one, the lost machine is named, and both resume."""

import socket
import subprocess
from collections.abc import Iterator

import psutil
import pytest
from hosts import Host, two_hosts
from processes import wait_until
from trainings import kill_all, steps_saved
from workspaces import run, set_params

from deepmark.files import file_sha256
from deepmark.workspace.layout import Workspace

PORT = 29517
PATIENCE = 16
"""Seconds that machines wait for each other in these tests."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    with two_hosts() as both:
        yield both


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


@pytest.mark.system
def test_a_lost_machine_and_one_told_to_end_are_named_and_both_learn_on_what_two_processes_on_one_do(
    hosts, untrained_by_two, two_once
):
    workspace = over(hosts, untrained_by_two)
    lose(hosts, workspace, lost=0, cable="cut", after=1)
    tell(hosts, workspace, after=2)
    lose(hosts, workspace, lost=1, cable="whole", after=4)

    (code, out, err), other = ends([host.train(workspace.root) for host in hosts])
    assert (code, other[0]) == (0, 0), err + other[2]
    assert file_sha256(workspace.model_file) == file_sha256(two_once.model_file)
    assert '"epochs": 2' in out
    assert other[1] == ""


def under_way(hosts: tuple[Host, Host], workspace: Workspace, *, after: int) -> list[subprocess.Popen[str]]:
    """A training on both machines that has saved `after` steps."""
    processes = [host.train(workspace.root) for host in hosts]

    def have_saved() -> bool:
        return steps_saved(workspace.runs / "train") >= after

    wait_until(lambda: have_saved() or any(each.poll() is not None for each in processes), seconds=120)
    assert have_saved(), [each.communicate() for each in processes if each.poll() is not None]
    return processes


def lose(hosts: tuple[Host, Host], workspace: Workspace, *, lost: int, cable: str, after: int) -> None:
    """Kill all processes of one machine, and perhaps cut its cable: the other machine names it and ends."""
    processes, dead = under_way(hosts, workspace, after=after), hosts[lost]
    if cable == "cut":
        dead.cut_cable()
    kill_all(processes[lost])
    ((code, out, err),) = ends([processes[1 - lost]])
    dead.join_cable()

    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(
        f"deepmark train: machine {dead.name} ({dead.address}, rank {lost}) was lost"
    )
    assert "Traceback" not in err
    assert not workspace.checkpoint.exists()


def tell(hosts: tuple[Host, Host], workspace: Workspace, *, after: int) -> None:
    """Tell one machine to end: the other machine learns it from the first."""
    processes = under_way(hosts, workspace, after=after)
    processes[1].terminate()
    (code, _, err), told = ends(processes)

    assert (code, told[0]) == (1, 1)
    assert told[2].splitlines()[-1].startswith("deepmark train: stopped by SIGTERM.")
    assert "was told to end" in err.splitlines()[-1]
    assert "Traceback" not in err + told[2]


@pytest.mark.system
def test_what_the_user_can_mend_on_one_machine_is_told_on_both(hosts, sharded):
    workspace = over(hosts, sharded)
    offline = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    (code, _, err), other = ends([host.train(workspace.root, **offline) for host in hosts])

    assert (code, other[0]) == (1, 1)
    assert err.count("deepmark train: MLflow at http://127.0.0.1:9 cannot be used") == 1
    named = f"deepmark train: machine {hosts[0].name} ({hosts[0].address}, rank 0) failed: "
    assert other[2].count(f"{named}DeepmarkError: MLflow at http://127.0.0.1:9 cannot be used") == 1
    assert "Traceback" not in err + other[2]


@pytest.mark.system
def test_a_process_that_is_killed_is_named_where_it_ran(hosts, sharded):
    workspace = over(hosts, sharded)
    set_params(workspace, train={"batch_size": 6, "launch": {"nproc_per_node": 2}})
    processes = under_way(hosts, workspace, after=1)
    ranks = psutil.Process(processes[1].pid).children(recursive=True)
    next(each for each in ranks if each.environ().get("RANK") == "3").kill()
    (code, _, err), told = ends(processes)

    assert (code, told[0]) == (1, 1)
    assert told[2].splitlines()[-1].startswith("deepmark train: rank 3 of the training failed: killed by SIGKILL")
    assert "was lost" not in err


@pytest.mark.system
def test_a_machine_that_does_not_come_is_missed(sharded):
    launch = {"nnodes": 2, "rendezvous": f"127.0.0.1:{PORT}", "timeout_seconds": 3}
    done = run("deepmark", "train", cwd=set_params(sharded, train={"launch": launch}).root)

    assert (done.code, done.out) == (1, "")
    last = done.err.splitlines()[-1]
    assert last.startswith(f"deepmark train: only 1 of 2 machines met at 127.0.0.1:{PORT} within 3 s: ")
    assert socket.gethostname() in last
    assert "Traceback" not in done.err
