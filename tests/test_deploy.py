"""deploy/: what a scheduler gets from us starts `deepmark train` as the right process of the training."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from workspaces import REPOSITORY

from deepmark.files import file_sha256
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.layout import Workspace

DEPLOY = REPOSITORY / "deploy"

SRUN = """#!/usr/bin/env bash
# As many tasks as Slurm would start, all here; a signal reaches the tasks.
while [[ "$1" == --* ]]; do shift; done
trap 'kill -TERM $(jobs -p)' TERM
for ((task = 0; task < SLURM_NTASKS; task++)); do
    SLURM_PROCID=$task SLURM_LOCALID=$((task % (SLURM_NTASKS / SLURM_JOB_NUM_NODES))) "$@" &
    tasks+=($!)
done
highest=0
for task in "${tasks[@]}"; do
    while :; do
        wait "$task"; code=$?
        kill -0 "$task" 2>/dev/null || break
    done
    ((code > highest)) && highest=$code
done
exit "$highest"
"""

SCONTROL = """#!/usr/bin/env bash
case "$1" in
    show) tr , '\\n' <<< "$3" ;;
    requeue) echo "$2" > "$REQUEUED" ;;
esac
"""

TELL_PLACE = """#!/usr/bin/env bash
echo "$RANK $WORLD_SIZE $LOCAL_RANK $LOCAL_WORLD_SIZE $MASTER_ADDR $MASTER_PORT $*"
"""

END_WHEN_TOLD = """#!/usr/bin/env python3
import os, signal, sys, time

def end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(1, b"saved\\n")
    sys.exit(143)

signal.signal(signal.SIGTERM, end)
os.write(1, b"training\\n")  # in one piece, so that no line of the other task comes between
while True:
    time.sleep(0.05)
"""


def slurm(folder: Path, *, nodes: str, tasks: int, deepmark: str | None = None) -> dict[str, str]:
    """The environment of a batch script, with a Slurm that runs all tasks here."""
    folder.mkdir(exist_ok=True)
    for name, text in {"srun": SRUN, "scontrol": SCONTROL, "deepmark": deepmark}.items():
        if text is not None:
            (folder / name).write_text(text, "utf-8")
            (folder / name).chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(tool("deepmark")).parent), os.environ["PATH"]])
    return child_environment() | {
        "PATH": path,
        "REQUEUED": str(folder / "requeued"),
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NODELIST": nodes,
        "SLURM_JOB_NUM_NODES": str(nodes.count(",") + 1),
        "SLURM_NTASKS": str(tasks),
        "SLURM_SUBMIT_DIR": str(folder),
    }


def sbatch(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", DEPLOY / "slurm.sbatch"], env=environment, capture_output=True, text=True, check=False
    )


def test_under_slurm_every_task_knows_its_place(tmp_path):
    done = sbatch(slurm(tmp_path, nodes="alpha,beta", tasks=4, deepmark=TELL_PLACE))

    assert done.returncode == 0, done.stderr
    command = f"alpha 24711 train --workspace {tmp_path}"
    assert sorted(done.stdout.splitlines()) == [
        f"0 4 0 2 {command}",
        f"1 4 1 2 {command}",
        f"2 4 0 2 {command}",
        f"3 4 1 2 {command}",
    ]
    assert not (tmp_path / "requeued").exists()


def test_under_slurm_a_training_that_was_told_to_end_is_requeued(tmp_path):
    variables = slurm(tmp_path, nodes="alpha", tasks=2, deepmark=END_WHEN_TOLD)
    command = ["bash", DEPLOY / "slurm.sbatch"]
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as script:
        assert script.stdout is not None
        begun = [script.stdout.readline() for _ in range(2)]
        os.killpg(script.pid, signal.SIGTERM)
        said = script.stdout.read()

    assert begun == ["training\n"] * 2
    assert said.count("saved") == 2
    assert script.returncode == 143
    assert (tmp_path / "requeued").read_text("utf-8") == "4711\n"


@pytest.mark.system
def test_under_slurm_two_tasks_learn_what_two_processes_of_ours_do(
    sharded: Workspace, two_once: Workspace, tmp_path: Path
):
    shutil.copyfile(two_once.root / "params.yaml", sharded.root / "params.yaml")
    done = sbatch(slurm(tmp_path / "slurm", nodes="localhost", tasks=2) | {"WORKSPACE": str(sharded.root)})

    assert done.returncode == 0, done.stderr
    assert file_sha256(sharded.model_file) == file_sha256(two_once.model_file)
    assert [line.split() for line in done.stdout.splitlines() if line.startswith("epochs")] == [["epochs", "2"]]


def test_the_script_for_slurm_is_one(tmp_path):
    checked = subprocess.run(["bash", "-n", DEPLOY / "slurm.sbatch"], capture_output=True, text=True, check=False)
    lines = (DEPLOY / "slurm.sbatch").read_text("utf-8").splitlines()
    first_command = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))

    assert (checked.returncode, checked.stderr) == (0, "")
    assert all(number < first_command for number, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert "#SBATCH --requeue" in lines


def shown(name: str) -> dict:
    return YAML(typ="safe", pure=True).load((DEPLOY / name).read_text("utf-8"))


def test_the_trainjob_has_what_kubeflow_asks_for():
    job = shown("kubeflow-trainjob.yaml")
    spec, trainer = job["spec"], job["spec"]["trainer"]

    assert (job["apiVersion"], job["kind"]) == ("trainer.kubeflow.org/v1alpha1", "TrainJob")
    assert job["metadata"].keys() & {"name", "generateName"}
    assert spec.keys() <= {"runtimeRef", "trainer", "runtimePatches"}
    assert spec["runtimeRef"] == {"name": "torch-distributed"}
    assert trainer.keys() <= {"image", "numNodes", "numProcPerNode", "command", "args", "env", "resourcesPerNode"}
    assert trainer["numNodes"] == 2
    assert trainer["command"][:4] == ["torchrun", "--no-python", "deepmark", "train"]
    (patch,) = spec["runtimePatches"]
    assert patch.keys() == {"manager", "trainingRuntimeSpec"}
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    assert job["name"] == "node"
    pod = job["template"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert trainer["command"][-2:] == ["--workspace", "/workspace"]
    assert "/workspace" in mounted


def test_the_skypilot_task_starts_a_process_a_gpu_on_every_node(tmp_path):
    task = shown("skypilot.yaml")
    run_by_shell = task["run"].replace("source ~/deepmark/bin/activate\n", "")
    (tmp_path / "torchrun").write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n', "utf-8")
    (tmp_path / "torchrun").chmod(0o755)
    variables = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "SKYPILOT_NUM_NODES": "2",
        "SKYPILOT_NODE_RANK": "1",
        "SKYPILOT_NUM_GPUS_PER_NODE": "8",
        "SKYPILOT_NODE_IPS": "10.0.0.5\n10.0.0.6",
    }
    bash = shutil.which("bash")
    assert bash is not None
    words = subprocess.run([bash, "-c", run_by_shell], env=variables, capture_output=True, text=True, check=True).stdout

    assert task["num_nodes"] == 2
    assert task["resources"]["accelerators"].endswith(":8")
    assert task.keys() <= {"name", "num_nodes", "resources", "workdir", "volumes", "setup", "run"}
    assert task["setup"].endswith(" '.[train]'\n")
    assert list(task["volumes"]) == ["/workspace"]
    assert words.split() == [
        *("--nnodes=2", "--node_rank=1", "--nproc_per_node=8", "--master_addr=10.0.0.5", "--master_port=29500"),
        *("--no-python", "deepmark", "train", "--workspace", "/workspace"),
    ]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_takes_the_service_for_one(tmp_path):
    unit, folder = tmp_path / "deepmark.service", str(Path(tool("deepmark")).parent)
    unit.write_text((DEPLOY / unit.name).read_text("utf-8").replace("%h/deepmark/.venv/bin", folder), "utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )

    assert [line for line in checked.stderr.splitlines() if unit.name in line] == []
    assert checked.returncode == 0
