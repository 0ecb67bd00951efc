"""docs/scale.md, step by step: machines become a cluster, the whole graph moves there and back, DVC sees no change."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Host, cluster
from ray_head import wait_for_start
from ruamel.yaml import YAML
from workspaces import REPOSITORY, commit, copied, set_params

from deepmark.workspace.layout import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.system]

PAGE = (REPOSITORY / "docs/scale.md").read_text("utf-8")
SOME = ("shard@train", "predict@nms")
"""Stages that are made once more on one machine."""

TOOLS = Path(sys.executable).parent


@pytest.fixture
def three() -> Iterator[Cluster]:
    with cluster(started=False) as machines:
        yield machines


def environment(three: Cluster, host: Host) -> dict[str, str]:
    """A login on a machine, with what differs between machines of a real network and our namespaces."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    path = os.pathsep.join([str(TOOLS), os.environ["PATH"]])
    place = three.folder / host.name
    place.mkdir(exist_ok=True)
    own = {"RAY_NODE_IP": host.address, "RAY_TEMP": str(place), "RAY_PORT": "6379"}
    # The token lies in a file of this test instead of ~/.ray; two clusters here are told apart by the address.
    token = {"RAY_AUTH_TOKEN_PATH": three.variables["RAY_AUTH_TOKEN_PATH"], "RAY_ADDRESS": three.address}
    return kept | {"PATH": path, "PYTHONPATH": three.variables["PYTHONPATH"], "OMP_NUM_THREADS": "1"} | own | token


def machine_joins(three: Cluster, host: Host, line: str) -> None:
    """A line of the page that runs until the machine is ended."""
    assert line in PAGE
    words = line.replace("HEAD_ADDRESS", three.head.address).split()
    log = three.folder / f"{host.name}.log"
    with log.open("w") as out:
        command = host.command("bash", REPOSITORY / words[0], *words[1:], "--object-store-memory=100000000")
        env = environment(three, host)
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, text=True, start_new_session=True)
    three.started.append(process)
    wait_for_start(log)


def on_head(three: Cluster, workspace: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    """Words in a shell on the head, after the line of the page that sets its environment."""
    line = "source CLONE/deploy/ray.env"
    assert line in PAGE
    shell = f"{line.replace('CLONE', str(REPOSITORY))} && {' '.join(words)}"
    command = three.head.command("bash", "-c", shell)
    env = environment(three, three.head) | {"DVC_NO_ANALYTICS": "true"}
    return subprocess.run(command, cwd=workspace.root, env=env, capture_output=True, text=True, check=False)


def made_data(workspace: Workspace) -> dict[str, str]:
    """The sums of all files and folders below data/ that stages made, as dvc.lock has them."""
    stages = YAML(typ="safe", pure=True).load((workspace.root / "dvc.lock").read_text("utf-8"))["stages"].values()
    outs = [out for stage in stages for out in stage["outs"]]
    return {out["path"]: out["md5"] for out in outs if out["path"].startswith("data/")}


def test_a_workspace_moves_to_a_cluster_and_back_and_nothing_is_to_do(three, sharded_once, tmp_path):
    workspace = set_params(copied(sharded_once, tmp_path), compute={"train_processes": 1})
    commit(workspace.root)
    machine_joins(three, three.head, "deploy/ray-machine.sh head")
    alone = on_head(three, workspace, "deepmark cluster check --json")
    for host in (three.a, three.b):
        machine_joins(three, host, "deploy/ray-machine.sh HEAD_ADDRESS")
    checked = on_head(three, workspace, "deepmark cluster check --json")

    assert alone.returncode == 1
    assert "no machine has a core for pieces of a stage" in alone.stderr
    assert checked.returncode == 0, checked.stderr
    names = [machine["host"] for machine in json.loads(checked.stdout)["machines"]]
    assert names == ["head", "machine-a", "machine-b"]

    set_params(workspace, compute={"engine": "ray"})
    there = on_head(three, workspace, "dvc repro --force")
    made = made_data(workspace)
    set_params(workspace, compute={"engine": "local"})
    here = on_head(three, workspace, "dvc repro")
    again = on_head(three, workspace, "dvc repro --force --single-item", *SOME)

    assert there.returncode == 0, there.stderr
    stages = YAML(typ="safe", pure=True).load((workspace.root / "dvc.lock").read_text("utf-8"))["stages"]
    assert {*SOME, "ingest@train", "train", "evaluate@none", "export", "audit", "report"} <= stages.keys()
    assert set(re.findall(r"Running stage '([^']*)'", there.stdout)) == stages.keys()
    assert "Data and pipelines are up to date." in here.stdout
    assert "Running" not in here.stdout
    assert again.returncode == 0, again.stderr
    for stage in SOME:
        assert re.search(rf"Running stage '{stage}'", again.stdout)
    assert made_data(workspace) == made
