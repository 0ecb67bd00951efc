"""Trainings with several processes: they agree, report why they fail, and leave no process behind."""

import errno
import json
import os
import shutil
import signal

import pytest
from one_process import ALONE
from processes import wait_until
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
from trainings import logged_models, mlflow_runs, sabotage, started, train, working_on
from workspaces import copied, set_params

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.train import worker
from deepmark.train.distributed.launch import _explain, count_processes
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.workspace.layout import Workspace

LEFT_WITHIN = 20.0
"""Seconds; on a busy machine a process checks its parent late, because its imports come first."""


def test_every_gpu_gets_a_process_and_a_cpu_as_many_as_are_wanted():
    assert (count_processes("auto", gpus=0), count_processes(3, gpus=0)) == (1, 3)
    assert (count_processes("auto", gpus=4), count_processes(3, gpus=4)) == (4, 3)
    with pytest.raises(DeepmarkError, match=r"train_processes is 5, and there are 4 GPU\(s\)\. Lower it"):
        count_processes(5, gpus=4)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("ValueError: Overflow when unpacking", "rank 0 of the training failed: ValueError: Overflow"),
        ("DeepmarkError: the disk is full.", "the disk is full."),
        ("LostPeerError: rank 0 lost another process of this training", "stopped by SIGTERM."),
    ],
)
def test_the_rank_that_failed_is_told_and_not_that_the_launcher_stopped_the_other(tmp_path, message, told):
    file = tmp_path / "attempt_0" / "0" / "error.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"message": {"message": message, "extraInfo": {"py_callstack": ""}}}))
    ended = {
        rank: ProcessFailure(local_rank=rank, pid=1, exitcode=code, error_file="none")
        for rank, code in enumerate((1, 128 + signal.SIGTERM))
    }

    assert str(_explain(ended, tmp_path)).startswith(told)


@pytest.mark.slow
def test_two_processes_write_one_checkpoint_and_one_run(two_once):
    assert two_once.model_file.is_file()
    assert json.loads(two_once.train_metrics_file.read_text("utf-8"))["epochs"] == 2
    assert len(two_once.losses_file.read_text("utf-8").splitlines()) == 3
    assert list(mlflow_runs(two_once).values()) == ["FINISHED"]


@pytest.mark.slow
def test_a_finished_training_is_not_trained_or_logged_again(trained_once, tmp_path):
    workspace = copied(trained_once, tmp_path)
    before = mlflow_runs(workspace), logged_models(workspace)
    expected = file_sha256(workspace.model_file), workspace.training_file.read_text("utf-8")
    shutil.rmtree(workspace.checkpoint)  # as DVC does before it runs a stage
    workspace.train_metrics_file.unlink()
    done = train(workspace)

    assert done.code == 0, done.err
    assert done.facts["epochs"] == 2
    assert "epoch" not in done.err
    assert (file_sha256(workspace.model_file), workspace.training_file.read_text("utf-8")) == expected
    assert (mlflow_runs(workspace), logged_models(workspace)) == before


@pytest.mark.slow
def test_fresh_trains_anew_to_the_same_weights(trained_once, tmp_path):
    workspace = copied(trained_once, tmp_path)
    expected = file_sha256(workspace.model_file)
    done = train(workspace, "--fresh")

    assert done.code == 0, done.err
    assert "epoch 2/2" in done.err
    assert file_sha256(workspace.model_file) == expected
    assert list(mlflow_runs(workspace).values()) == ["FINISHED", "FINISHED"]


@pytest.mark.slow
def test_a_rank_that_dies_of_a_bug_shows_its_own_traceback(sharded, tmp_path):
    set_params(sharded, compute={"train_processes": 2})
    bug = (
        "import os\nif os.environ.get('RANK') == '1':\n"
        "    import deepmark.model.detector as module\n"
        "    def build_detector(*_, **__):\n        raise ValueError('a bug in the second rank')\n"
        "    module.build_detector = build_detector\n"
    )
    done = train(sharded, PYTHONPATH=sabotage(tmp_path, bug))

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("deepmark train: rank 1 of the training failed: ValueError: a bug in the second rank")
    assert done.err.count("Traceback") == 1
    assert "in build_detector" in done.err


@pytest.mark.slow
def test_what_the_user_can_mend_is_one_message_whichever_rank_meets_it(sharded):
    set_params(sharded, compute={"train_processes": 2})
    done = train(sharded, MLFLOW_TRACKING_URI="http://127.0.0.1:9", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("deepmark train: MLflow at http://127.0.0.1:9 cannot be used")
    assert "Traceback" not in done.err
    assert done.err.count("cannot be used") == 1


def test_a_full_disk_is_one_message_of_the_rank_that_meets_it(monkeypatch, tmp_path):
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/runs/weights.safetensors")

    monkeypatch.setattr(worker, "train_rank", fill)
    with pytest.raises(DeepmarkError, match=r"^/runs/weights\.safetensors: no space is left on the disk\. Free some"):
        worker._train_guarded(Workspace(tmp_path), tmp_path, ALONE, StopSignal())


@pytest.mark.slow
def test_a_rank_that_was_killed_is_named_with_the_signal(sharded, tmp_path):
    set_params(sharded, compute={"train_processes": 2})
    death = "import os\nif os.environ.get('RANK') == '0':\n    os.kill(os.getpid(), 9)\n"
    done = train(sharded, PYTHONPATH=sabotage(tmp_path, death))

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("deepmark train: rank 0 of the training failed: killed by SIGKILL; out of memory")


@pytest.mark.slow
def test_no_rank_outlives_a_launcher_that_was_killed(untrained_by_two):
    process = started(untrained_by_two)
    assert wait_until(lambda: len(working_on(untrained_by_two)) == 3, seconds=120)
    process.kill()
    process.communicate()

    assert wait_until(lambda: not working_on(untrained_by_two), seconds=LEFT_WITHIN)
