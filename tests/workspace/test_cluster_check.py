"""`deepmark cluster check` on a cluster of this machine alone."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from ray_head import Head, ray_head
from workspaces import copied, set_params

from deepmark.compute.ray_cluster import NODE_SETTINGS, Machine
from deepmark.compute.ray_engine import Ray, _Crew
from deepmark.compute.software import software
from deepmark.errors import DeepmarkError
from deepmark.params import ComputeParams
from deepmark.workspace.cluster_check import Seen, _faults, _faults_of_all, look_around
from deepmark.workspace.layout import Workspace

CHECK = "import sys\nfrom deepmark.cli.app import main\nsys.argv[1:] = ['cluster', 'check', *{words}]\nmain()"


def machine(**changes: object) -> Machine:
    usual = {"id": "1", "host": "left", "address": "10.0.0.1", "cores": 8, "gpus": 0, "gpu": None, "head": False}
    return Machine(**usual | changes)


def seen(**changes: object) -> Seen:
    usual = {"software": software(), "torch": "2.13.0", "settings": NODE_SETTINGS, "unread": {}, "clock": 0.0}
    return Seen(**usual | changes)


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head(1) as started:
        yield started


@pytest.fixture
def workspace(sharded_once, tmp_path) -> Workspace:
    return set_params(copied(sharded_once, tmp_path), compute={"engine": "ray"})


def check(head: Head, workspace: Workspace, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return head.run(CHECK.format(words=list(words)), workspace.root, **more)


@pytest.mark.slow
def test_a_good_cluster_is_shown_and_leaves_nothing_behind(head, workspace):
    before = sorted(workspace.root.rglob("*"))
    done = check(head, workspace)
    facts = json.loads(check(head, workspace, "--json").stdout)

    assert done.returncode == 0, done.stderr
    assert "Nothing is wrong. `compute: engine: ray`" in done.stdout
    assert sorted(workspace.root.rglob("*")) == before
    (row,) = facts["machines"]
    assert (row["cores"], row["head"], row["shared"], row["same_software"]) == (1, True, True, True)
    assert (row["ray"], row["python"]) == (software()["ray"], software()["Python"])
    assert abs(row["clock_seconds"]) < 1
    assert (facts["wrong"], facts["places"]) == ([], [str(workspace.root)])


@pytest.mark.slow
def test_a_cluster_without_token_and_keep_alive_is_told_what_to_do(workspace):
    with ray_head(1, RAY_AUTH_MODE="disabled", RAY_grpc_client_keepalive_time_ms="300000") as open_head:
        done = check(open_head, workspace, "--json", RAY_AUTH_MODE="disabled")

    assert done.returncode == 1
    assert len(json.loads(done.stdout)["wrong"]) == 2
    assert done.stderr.startswith("deepmark cluster: ")
    assert "runs Ray without token authentication: whoever reaches its ports can run programs there" in done.stderr
    assert (
        "without RAY_grpc_client_keepalive_time_ms=10000 and RAY_grpc_client_keepalive_timeout_ms=10000" in done.stderr
    )
    assert "Traceback" not in done.stderr


def test_a_machine_is_told_by_its_name_what_is_wrong_with_it():
    one = machine()

    assert list(_faults(one, seen(), 0.2)) == []
    (differs,) = _faults(one, seen(software={**software(), "torch": "2.12.0"}), 0.0)
    assert differs.startswith(f"left (10.0.0.1) has torch 2.12.0 instead of {software()['torch']}. Install the same")
    (unread,) = _faults(one, seen(unread={"/shared/work/.deepmark-probe-1": "no such file"}), 0.0)
    assert unread.startswith("left (10.0.0.1) does not see /shared/work (no such file). Mount the same folder")
    (clock,) = _faults(one, seen(), -61.0)
    assert clock.startswith("the clock of left (10.0.0.1) differs by -61 s. Let NTP set it")
    (absent,) = _faults(one, ModuleNotFoundError("No module named 'deepmark'"), 0.0)
    assert absent.startswith(
        "left (10.0.0.1) cannot run DeepMark (No module named 'deepmark'). Install the same release"
    )


def test_a_cluster_without_cores_or_with_two_kinds_of_gpus_is_told_so():
    engine = Ray(ComputeParams(engine="ray"))
    mixed = [machine(gpus=1, gpu="H100"), machine(id="2", gpus=1, gpu="L4")]

    (idle,) = _faults_of_all([machine(cores=0, head=True)])
    (two_kinds,) = _faults_of_all(mixed)

    assert idle.startswith("no machine has a core for pieces of a stage")
    assert two_kinds.startswith("the GPUs are of 2 kinds (H100, L4), whose results differ")
    assert [*_faults_of_all([machine()])] == []
    with pytest.raises(DeepmarkError, match="of 2 kinds"):
        _Crew(mixed, "device", None, engine)
    assert _Crew(mixed, "core", None, engine).size == 16
    assert _Crew(mixed[:1], "device", None, engine).needs == {"num_gpus": 1, "num_cpus": 0}


def test_a_probe_file_that_is_missing_or_another_is_noticed(tmp_path):
    (tmp_path / "probe").write_text("this")

    assert look_around({str(tmp_path / "probe"): "this"}).unread == {}
    assert look_around({str(tmp_path / "probe"): "that"}).unread == {str(tmp_path / "probe"): "another file lies there"}
    assert "no such file" in look_around({str(tmp_path / "none"): "this"}).unread[str(tmp_path / "none")]


def test_without_ray_the_check_is_one_message(workspace):
    program = "import sys\nsys.modules['ray'] = None\n" + CHECK.format(words=[])
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=workspace.root, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("deepmark cluster: this needs the extra 'cluster'")
