"""Trainings on two machines under a scheduler: the same result as on one, and both end soon where one is lost."""

import subprocess
from collections.abc import Iterator

import pytest
from hosts import Host, two_hosts
from processes import wait_until
from trainings import steps_saved
from workspaces import set_params

from deepmark.files import file_sha256
from deepmark.workspace.layout import Workspace

PORT = 29517
PATIENCE = 16
"""Seconds that processes wait for each other in these tests."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    with two_hosts() as both:
        yield both


def start(hosts: tuple[Host, Host], workspace: Workspace, **variables: str) -> list[subprocess.Popen[str]]:
    """A process of a training on each host, as Slurm starts them."""
    set_params(workspace, train={"checkpoint_minutes": 0}, compute={"timeout_seconds": PATIENCE})
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": hosts[0].address, "MASTER_PORT": str(PORT), "OMP_NUM_THREADS": "1"}
    return [host.train(workspace.root, RANK=str(rank), **place, **variables) for rank, host in enumerate(hosts)]


def ends(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    found = []
    for process in processes:
        out, err = process.communicate(timeout=240)
        found.append((process.returncode, out, err))
    return found


@pytest.mark.system
def test_lost_ends_are_told_and_both_learn_on_what_two_processes_on_one_machine_do(hosts, untrained_by_two, two_once):
    workspace = untrained_by_two
    lose(hosts, workspace, lost=1, cable="whole", after=1)
    lose(hosts, workspace, lost=0, cable="cut", after=2)
    tell(hosts, workspace, after=3)

    (code, out, err), other = ends(start(hosts, workspace))
    assert (code, other[0]) == (0, 0), err + other[2]
    assert file_sha256(workspace.model_file) == file_sha256(two_once.model_file)
    assert file_sha256(workspace.losses_file) == file_sha256(two_once.losses_file)
    assert '"epochs": 2' in out
    assert other[1].strip() in ("", "null")


def under_way(hosts: tuple[Host, Host], workspace: Workspace, *, after: int) -> list[subprocess.Popen[str]]:
    """A training on both hosts that has saved `after` steps."""
    processes = start(hosts, workspace)

    def have_saved() -> bool:
        return steps_saved(workspace.runs / "train") >= after

    wait_until(lambda: have_saved() or any(each.poll() is not None for each in processes), seconds=120)
    assert have_saved(), [each.communicate() for each in processes if each.poll() is not None]
    return processes


def lose(hosts: tuple[Host, Host], workspace: Workspace, *, lost: int, cable: str, after: int) -> None:
    """Kill the process of one host, and perhaps cut its cable: the other one says so and ends."""
    processes, dead = under_way(hosts, workspace, after=after), hosts[lost]
    if cable == "cut":
        dead.cut_cable()
    processes[lost].kill()
    ((code, out, err),) = ends([processes[1 - lost]])
    ends([processes[lost]])
    dead.join_cable()

    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith(f"deepmark train: rank {1 - lost} lost another process of this training")
    if cable == "whole":  # the end of a connection says whose it was
        assert dead.address in last
    assert "Traceback" not in err
    assert not workspace.checkpoint.exists()


def tell(hosts: tuple[Host, Host], workspace: Workspace, *, after: int) -> None:
    """Tell one process to end: both end, with the exit code of that or because they lost the other."""
    processes = under_way(hosts, workspace, after=after)
    processes[1].terminate()
    (code, _, err), told = ends(processes)

    assert told[0] == 143
    assert code in (1, 143)
    assert "Traceback" not in err + told[2]


@pytest.mark.system
def test_what_the_user_can_mend_on_one_machine_is_told_there_and_the_other_refers_to_it(hosts, sharded):
    workspace = set_params(sharded, train={"batch_size": 4})
    offline = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    (code, _, err), other = ends(start(hosts, workspace, **offline))

    assert (code, other[0]) == (1, 1)
    assert err.count("deepmark train: MLflow at http://127.0.0.1:9 cannot be used") == 1
    assert "deepmark train: rank 1 lost another process of this training" in other[2]
    assert "Its own output says why" in other[2]
    assert "Traceback" not in err + other[2]


@pytest.mark.system
def test_a_process_that_does_not_come_is_named(hosts, sharded):
    workspace = set_params(sharded, compute={"timeout_seconds": 3})
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": hosts[0].address, "MASTER_PORT": str(PORT)}
    for rank, missing in ((0, "rank 1 did not come"), (1, "rank 0 cannot be reached")):
        ((code, out, err),) = ends([hosts[rank].train(workspace.root, RANK=str(rank), **place)])

        assert (code, out) == (1, "")
        last = f"deepmark train: rank {rank} of 2 waited 3 s for the others at {hosts[0].address}:{PORT}: {missing}"
        assert err.splitlines()[-1].startswith(last)
        assert "Traceback" not in err
