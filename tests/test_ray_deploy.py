"""deploy/: a Ray cluster on Kubernetes, under Slurm and on bare machines has the settings and the token it needs."""

import os
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from workspaces import REPOSITORY

from deepmark.compute.ray_cluster import NODE_SETTINGS

DEPLOY = REPOSITORY / "deploy"

TELL = """#!/usr/bin/env bash
echo "$(basename "$0") $*"
env | grep ^RAY_ || true
"""

SCONTROL = """#!/usr/bin/env bash
tr , '\\n' <<< "$3"
"""

SRUN = """#!/usr/bin/env bash
while [[ "$1" == --* ]]; do shift; done
[[ $(stat -c %a "$RAY_AUTH_TOKEN_PATH") == 600 ]] && echo "token of $(wc -c < "$RAY_AUTH_TOKEN_PATH") characters"
exec "$@"
"""


def run(folder: Path, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A script, where `ray` tells how it is called and with which environment."""
    for name, text in {"ray": TELL, "scontrol": SCONTROL, "srun": SRUN}.items():
        (folder / name).write_text(text, "utf-8")
        (folder / name).chmod(0o755)
    env = {"PATH": os.pathsep.join([str(folder), os.defpath]), "HOME": str(folder)} | variables
    return subprocess.run(["bash", *command], cwd=folder, env=env, capture_output=True, text=True, check=False)


def settings(lines: list[str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines if line.startswith("RAY_"))


@pytest.mark.parametrize("place", ["head", "10.0.0.1"])
def test_a_bare_machine_starts_ray_with_every_setting(tmp_path, place):
    done = run(tmp_path, DEPLOY / "ray-machine.sh", place, RAY_TEMP="/tmp/r", RAY_NODE_IP="10.0.0.7")

    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert NODE_SETTINGS.items() <= settings(said).items()
    own = "--node-ip-address=10.0.0.7 --temp-dir=/tmp/r"
    if place == "head":
        assert (
            said[0] == f"ray start --block --head --port=6379 --num-cpus=0 --num-gpus=0 --include-dashboard=false {own}"
        )
    else:
        assert said[0] == f"ray start --block --address=10.0.0.1:6379 {own}"


def test_a_bare_machine_without_a_place_says_how_it_is_used(tmp_path):
    done = run(tmp_path, DEPLOY / "ray-machine.sh")

    assert done.returncode == 2
    assert "usage: " in done.stderr
    assert "head | HEAD_ADDRESS" in done.stderr


def test_under_slurm_a_command_runs_on_ray_with_a_token_of_its_own(tmp_path):
    slurm = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NODELIST": "alpha,beta", "SLURM_JOB_NUM_NODES": "2"}
    slurm |= {"SLURM_SUBMIT_DIR": str(tmp_path), "RAY_ENV": str(DEPLOY / "ray.env")}

    done = run(tmp_path, DEPLOY / "ray-slurm.sbatch", "dvc", "repro", **slurm)

    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "token of 64 characters"
    assert said[1] == "ray symmetric-run --address alpha:24711 --min-nodes 2 -- dvc repro"
    assert NODE_SETTINGS.items() <= settings(said).items()
    assert settings(said)["RAY_ADDRESS"] == "alpha:24711"
    assert not list(tmp_path.glob(".ray-token*"))


def test_under_slurm_a_path_without_ray_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    slurm = {"SLURM_JOB_ID": "1", "SLURM_SUBMIT_DIR": str(tmp_path), "PATH": os.defpath}

    done = run(tmp_path, DEPLOY / "ray-slurm.sbatch", "dvc", "repro", **slurm)

    assert done.returncode == 1
    assert "no `ray` in PATH: set ENVIRONMENT=" in done.stderr


def test_the_ray_cluster_has_what_kuberay_asks_for_and_every_setting():
    cluster = YAML(typ="safe", pure=True).load((DEPLOY / "ray-cluster.yaml").read_text("utf-8"))
    spec, (workers,) = cluster["spec"], cluster["spec"]["workerGroupSpecs"]

    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    assert spec.keys() == {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
    assert f"ray=={spec['rayVersion']}\n" in (REPOSITORY / "constraints.txt").read_text("utf-8")
    assert spec["authOptions"] == {"mode": "token"}  # which sets RAY_AUTH_MODE
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert workers["replicas"] == workers["minReplicas"] == workers["maxReplicas"]
    for group in (spec["headGroupSpec"], workers):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        given = {one["name"]: one["value"] for one in container["env"]} | {"RAY_AUTH_MODE": "token"}
        assert NODE_SETTINGS.items() <= given.items()
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert container["workingDir"] == "/workspace"
