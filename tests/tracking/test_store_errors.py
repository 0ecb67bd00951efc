"""MLflow's refusals are told as what they are, with what to do."""

import errno
import sqlite3
import sys

import pytest

from deepmark.errors import DeepmarkError
from deepmark.tracking.mlflow_store import open_client, store_errors, tracking_uri
from deepmark.tracking.provenance import EXPERIMENT_VARIABLE
from deepmark.tracking.tracker import TRAINING_TAG, Tracker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    return Tracker.start(root, params={}, tags={})


def test_an_experiment_that_was_deleted_is_told_with_the_command_that_brings_it_back(once):
    root, experiment = once.workspace, once._run.info.experiment_id
    client = open_client(root)
    client.delete_experiment(experiment)
    command = f"MLFLOW_TRACKING_URI=sqlite:///{root}/mlflow.db mlflow experiments restore -x {experiment}"
    try:
        with pytest.raises(DeepmarkError) as error:
            Tracker.start(root, params={}, tags={})
        assert str(error.value) == f"MLflow's experiment 'deepmark' was deleted. Bring it back: {command}"
        with pytest.raises(DeepmarkError, match="mlflow experiments restore -x"):
            Tracker.resume(root, once.run_id)
    finally:
        client.restore_experiment(experiment)


def test_a_run_that_was_deleted_is_told_with_the_command_that_brings_it_back(once):
    client = open_client(once.workspace)
    client.delete_run(once.run_id)
    try:
        with pytest.raises(DeepmarkError, match=f"mlflow runs restore --run-id {once.run_id}$"):
            Tracker.resume(once.workspace, once.run_id)
    finally:
        client.restore_run(once.run_id)


def test_a_database_without_its_driver_is_told_with_the_extra(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg2://me:secret@127.0.0.1:9/runs")
    monkeypatch.setitem(sys.modules, "psycopg2", None)

    with pytest.raises(DeepmarkError) as error:
        Tracker.start(tmp_path, params={}, tags={})

    assert str(error.value).startswith(
        "MLflow at postgresql+psycopg2://me:***@127.0.0.1:9/runs needs the package 'psycopg2', which is not installed. "
        "For Postgres: `pip install '.[postgres]'`"
    )


def test_an_address_with_a_port_that_is_none_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@host:port/runs")

    with pytest.raises(DeepmarkError, match="MLFLOW_TRACKING_URI") as error, store_errors(tracking_uri(tmp_path)):
        open_client(tmp_path)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/w/mlartifacts/a"), "/w/mlartifacts/a: no space is left"),
        (OSError(errno.EROFS, "Read-only file system", "/w/mlartifacts/a"), "the file system is read-only"),
        (sqlite3.OperationalError("database or disk is full"), "/w/mlflow.db: no space is left on the disk. Free some"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "/w/mlflow.db: permission denied. Change"),
        (sqlite3.OperationalError("disk I/O error"), "/w/mlflow.db: the disk reports an error. Check the disk"),
    ],
)
def test_what_the_disk_refuses_is_told_as_that(error, words):
    with pytest.raises(DeepmarkError) as told, store_errors("sqlite:////w/mlflow.db"):
        raise error

    assert words in str(told.value)
    assert "MLFLOW_TRACKING_URI" not in str(told.value)


def test_a_module_that_is_missing_for_another_reason_keeps_its_error(tmp_path):
    with pytest.raises(ModuleNotFoundError, match="nowhere"), store_errors(tracking_uri(tmp_path)):
        import nowhere  # noqa: F401


def test_no_parameter_of_a_run_holds_a_secret(once):
    place = "https://host/shards?X-Amz-Signature=secret"
    tracker = Tracker.start(once.workspace, params={"storage.shards": place}, tags={})

    assert tracker._client.get_run(tracker.run_id).data.params == {
        "storage.shards": "https://host/shards?X-Amz-Signature=***"
    }


def test_an_experiment_that_does_not_train_has_a_run_of_its_own(once, monkeypatch, tmp_path):
    from deepmark.workspace.init import profile_file

    (once.workspace / "params.yaml").write_text(profile_file("demo").read_text("utf-8"), "utf-8")
    assert Tracker.for_results(once.workspace, once.run_id).run_id == once.run_id

    monkeypatch.setenv(EXPERIMENT_VARIABLE, "other-nms")
    first = Tracker.for_results(once.workspace, once.run_id)
    first.log_metrics({"nms.box.AP": 0.5})
    again = Tracker.for_results(once.workspace, once.run_id)
    run = again._client.get_run(again.run_id)

    assert first.run_id == again.run_id != once.run_id
    assert run.data.tags[TRAINING_TAG] == once.run_id
    assert (run.info.status, run.info.run_name, run.data.metrics) == ("FINISHED", "other-nms", {"nms.box.AP": 0.5})
    assert once._client.get_run(once.run_id).data.metrics == {}
    trained = Tracker.start(once.workspace, params={}, tags={})
    assert Tracker.for_results(once.workspace, trained.run_id).run_id == trained.run_id
