"""A training that is killed while it writes has the same result as one that is not; benchmarks/kill_resume.py kills
it a hundred times."""

import json
import os
import shutil
import sqlite3
import subprocess
import time
from signal import SIGINT, SIGKILL, SIGTERM

import pytest
from processes import wait_until
from trainings import kill_all, losses, mlflow_runs, started, steps_saved, train, working_on
from workspaces import REPOSITORY, set_params

from deepmark.files import file_sha256
from deepmark.workspace.layout import Workspace

KILLS = os.pathsep.join(filter(None, [str(REPOSITORY / "tests/kills"), os.environ.get("PYTHONPATH")]))


def sums(workspace: Workspace) -> dict[str, str]:
    """The sha256 of every tensor file of the last checkpoint, and of the model."""
    last = max(workspace.runs.glob("train/*/epoch-*"), key=lambda path: path.name)
    state = json.loads((last / "state.json").read_text("utf-8"))
    return {**state["sha256"], "model": file_sha256(workspace.model_file)}


def points(workspace: Workspace) -> list[tuple[str, int, float]]:
    """The figures of every epoch in MLflow, without timings."""
    with sqlite3.connect(workspace.root / "mlflow.db") as store:
        found = sorted(store.execute("select key, step, value from metrics").fetchall())
    store.close()
    return [point for point in found if point[0] not in ("training/samples_per_second", "training/waiting")]


@pytest.mark.system
def test_killed_inside_three_writes_and_once_by_a_power_cut_it_ends_with_the_same_bits_and_the_same_run(
    untrained, trained_once
):
    for kill in ("tensors 7", "renamed 2", "metrics_kept 1"):
        process = started(untrained, DEEPMARK_KILL=kill, PYTHONPATH=KILLS)
        process.communicate()
        assert process.returncode == -SIGKILL, kill
        assert wait_until(lambda: not working_on(untrained), seconds=20)
    process = started(untrained)
    assert wait_until(lambda: steps_saved(untrained.runs / "train") >= 4, seconds=120)
    kill_all(process)
    assert not untrained.checkpoint.exists()
    done = train(untrained)

    assert done.code == 0, done.err
    assert sums(untrained) == sums(trained_once)
    assert set(sums(trained_once)) == {
        "model",
        *(f"{name}.safetensors" for name in ("weights", "optimizer", "average", "best")),
    }
    assert losses(untrained) == losses(trained_once)
    assert list(mlflow_runs(untrained).values()) == ["FINISHED"]
    assert points(untrained) == points(trained_once)
    assert list(untrained.root.rglob("*.unfinished")) == []


@pytest.mark.system
def test_two_processes_that_normalise_together_end_with_the_same_bits_after_a_kill(untrained_by_two, two_once):
    assert two_once.params.train.sync_batch_norm
    process = started(untrained_by_two, DEEPMARK_KILL="renamed 5", PYTHONPATH=KILLS)
    process.communicate()
    assert process.returncode == -SIGKILL
    assert wait_until(lambda: not working_on(untrained_by_two), seconds=20)
    done = train(untrained_by_two)

    assert done.code == 0, done.err
    assert sums(untrained_by_two) == sums(two_once)
    assert losses(untrained_by_two) == losses(two_once)


@pytest.mark.system
def test_told_to_end_it_writes_a_checkpoint_and_goes_on_from_there(untrained_by_two):
    """Only one of the processes on two machines may receive the signal."""
    set_params(untrained_by_two, train={"checkpoint_minutes": 60, "epochs": 40})
    for number, to in ((SIGTERM, "one process"), (SIGTERM, "launcher"), (SIGINT, "launcher")):
        process = further(untrained_by_two)
        told = process.pid if to == "launcher" else second_rank(untrained_by_two)
        begun = time.monotonic()
        os.kill(told, number)
        _, err = process.communicate(timeout=60)

        assert process.returncode == 1
        assert time.monotonic() - begun < 30
        assert err.splitlines()[-1].startswith(f"deepmark train: stopped by {number.name}. The same command goes on")
        assert "Traceback" not in err
        assert working_on(untrained_by_two) == []
        # during validation the process with the signal ends at once, and the other fails because of that
        assert set(mlflow_runs(untrained_by_two).values()) <= {"KILLED", "FAILED" if to == "one process" else "KILLED"}
    assert list(mlflow_runs(untrained_by_two).values()) == ["KILLED"]  # the run from before: no new one was started


def further(workspace: Workspace) -> subprocess.Popen[str]:
    """A running training that is at least one epoch past the end of the one before."""
    saved = steps_saved(workspace.runs / "train")
    process = started(workspace)
    assert wait_until(lambda: steps_saved(workspace.runs / "train") > saved, seconds=120)
    return process


def second_rank(workspace: Workspace) -> int:
    (rank,) = [process.pid for process in working_on(workspace) if process.environ().get("RANK") == "1"]
    return rank


@pytest.mark.system
def test_a_run_goes_on_with_the_number_of_processes_that_began_it(untrained_by_two, two_once):
    process = started(untrained_by_two, DEEPMARK_KILL="renamed 5", PYTHONPATH=KILLS)
    process.communicate()
    assert process.returncode == -SIGKILL
    assert wait_until(lambda: not working_on(untrained_by_two), seconds=20)
    saved = sorted(path.name for path in untrained_by_two.runs.glob("train/*/epoch-*"))
    refused = train(set_params(untrained_by_two, compute={"train_processes": 1}))

    assert (refused.code, refused.out) == (1, "")
    assert "this run was begun by 2 processes, and would go on with 1" in refused.err
    assert "train_processes: 2 in params.yaml" in refused.err
    assert "--fresh" in refused.err
    assert "Traceback" not in refused.err
    assert sorted(path.name for path in untrained_by_two.runs.glob("train/*/epoch-*")) == saved
    done = train(set_params(untrained_by_two, compute={"train_processes": 2}))
    assert done.code == 0, done.err
    assert sums(untrained_by_two) == sums(two_once)
    shutil.rmtree(untrained_by_two.checkpoint)  # as DVC does before it runs a stage
    again = train(set_params(untrained_by_two, compute={"train_processes": 1}))
    assert again.code == 0, again.err  # a run that is complete computes nothing
    assert sums(untrained_by_two) == sums(two_once)
