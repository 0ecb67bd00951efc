"""A training killed inside a write ends as one that was not; benchmarks/kill_resume.py does it a hundred times."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator

import pytest
from trainings import losses, mlflow_runs, started, steps_saved, train, wait_until, working_on
from workspaces import REPOSITORY, copied, set_params

from deepmark.files import file_sha256
from deepmark.workspace import Workspace

KILLS = os.pathsep.join(filter(None, [str(REPOSITORY / "tests/kills"), os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="module")
def whole(sharded_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With all that a run may carry, by two processes, without a break."""
    workspace = copied(sharded_once, tmp_path_factory.mktemp("whole"))
    everything = {"ema": 0.9, "evaluate_every": 1, "checkpoint_minutes": 0, "launch": {"nproc_per_node": 2}}
    done = train(set_params(workspace, train=everything))
    assert done.code == 0, done.err
    return workspace


@pytest.fixture
def untrained(sharded: Workspace, whole: Workspace) -> Iterator[Workspace]:
    """The same before; nothing that trains in it outlives the test."""
    (sharded.root / "params.yaml").write_text((whole.root / "params.yaml").read_text("utf-8"), "utf-8")
    yield Workspace(sharded.root)
    for process in working_on(sharded):
        process.kill()


def sums(workspace: Workspace) -> dict[str, str]:
    """Of every tensor file of the last checkpoint, and of the model."""
    last = max(workspace.runs.glob("train/*/epoch-*"), key=lambda path: path.name)
    state = json.loads((last / "state.json").read_text("utf-8"))
    return {**state["sha256"], "model": file_sha256(workspace.model_file)}


def points(workspace: Workspace) -> list[tuple[str, int, float]]:
    """What MLflow knows of every epoch, timings apart."""
    with sqlite3.connect(workspace.root / "mlflow.db") as store:
        query = "select key, step, value from metrics where key not in ('samples_per_second', 'waiting')"
        found = sorted(store.execute(query).fetchall())
    store.close()
    return found


@pytest.mark.slow
def test_killed_inside_three_writes_it_ends_with_the_same_bits_and_the_same_run(untrained, whole):
    for kill in ("tensors 7", "renamed 2", "metrics_kept 1"):
        process = started(untrained, DEEPMARK_KILL=kill, PYTHONPATH=KILLS)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, kill
        assert wait_until(lambda: not working_on(untrained), seconds=20)
    done = train(untrained)

    assert done.code == 0, done.err
    assert sums(untrained) == sums(whole)
    assert set(sums(whole)) == {
        "model",
        *(f"{name}.safetensors" for name in ("weights", "optimizer", "average", "best")),
    }
    assert losses(untrained) == losses(whole)
    assert list(mlflow_runs(untrained).values()) == ["FINISHED"]
    assert points(untrained) == points(whole)
    assert list(untrained.root.rglob("*.unfinished")) == []


@pytest.mark.slow
@pytest.mark.parametrize("to", ["launcher", "one process"])
def test_told_to_end_it_writes_a_checkpoint_and_goes_on_from_there(untrained, whole, to):
    """Of processes on two machines only one may be told."""
    set_params(untrained, train={"checkpoint_minutes": 60, "epochs": 40})
    process = started(untrained)
    assert wait_until(lambda: steps_saved(untrained.runs / "train") >= 3, seconds=120)  # the first epoch is over
    told = process.pid if to == "launcher" else second_rank(untrained)
    begun = time.monotonic()
    os.kill(told, signal.SIGTERM)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert time.monotonic() - begun < 30
    assert "stopped by SIGTERM. The same command goes on" in err
    assert "Traceback" not in err
    # told during validation, one process leaves at once, and the other fails for lack of it
    assert set(mlflow_runs(untrained).values()) <= {"KILLED", "FAILED" if to == "one process" else "KILLED"}
    saved = steps_saved(untrained.runs / "train")
    again = started(untrained)
    assert wait_until(lambda: steps_saved(untrained.runs / "train") > saved, seconds=120)
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)
    assert list(mlflow_runs(untrained).values()) == ["KILLED"]  # the one from before: nothing began anew


def second_rank(workspace: Workspace) -> int:
    (rank,) = [process.pid for process in working_on(workspace) if process.environ().get("RANK") == "1"]
    return rank


@pytest.mark.slow
def test_a_run_may_go_on_with_another_number_of_processes(untrained, whole):
    process = started(untrained, DEEPMARK_KILL="renamed 5", PYTHONPATH=KILLS)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert wait_until(lambda: not working_on(untrained), seconds=20)
    saved = steps_saved(untrained.runs / "train")
    done = train(set_params(untrained, train={"launch": {"nproc_per_node": 1}}), DEEPMARK_LOADER_THREADS="0")

    assert 0 < saved < 6
    assert done.code == 0, done.err
    assert list(mlflow_runs(untrained).values()) == ["FINISHED"]
    assert [point[:2] for point in points(untrained)] == [point[:2] for point in points(whole)]
