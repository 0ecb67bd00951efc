"""An MLflow run keeps all that is logged, whatever is killed; a store that cannot be reached is named."""

import json
import math
import os
import subprocess
import sys

import pytest

from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.tracking.mlflow_store import get_or_create_experiment, tracking_uri
from deepmark.tracking.provenance import EXPERIMENT_VARIABLE
from deepmark.tracking.tracker import Tracker
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.inputs import index_sha256


@pytest.fixture(autouse=True)
def own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """One for all tests: making MLflow's tables takes seconds."""
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture
def tracker(workspace):
    return Tracker.start(workspace, params={"train.epochs": 2, "model.backbone": "mobile"}, tags={"processes": "2"})


def stored(tracker):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri(tracker.workspace)).get_run(tracker.run_id)


def test_a_run_keeps_parameters_tags_curves_and_files_in_the_workspace(tracker, tmp_path):
    (tmp_path / "none.csv").write_text("metric,value\n")
    for epoch, loss in enumerate((8.0, 4.0), 1):
        tracker.log_metrics({"loss": loss}, step=epoch)
    tracker.log_artifact(tmp_path / "none.csv", "tables")
    tracker.finish()
    run = stored(tracker)

    assert run.data.params == {"train.epochs": "2", "model.backbone": "mobile"}
    assert run.data.tags["processes"] == "2"
    assert run.data.tags["deepmark.version"]
    assert run.info.status == "FINISHED"
    curve = tracker._client.get_metric_history(tracker.run_id, "loss")
    assert [(point.step, point.value) for point in curve] == [(1, 8.0), (2, 4.0)]
    artifacts = tracker.workspace / "mlartifacts" / tracker.run_id / "artifacts"
    assert (artifacts / "tables/none.csv").read_text() == "metric,value\n"


CURVES = {1: {"loss": 3.0, "ap": 0.1}, 2: {"loss": 2.0}}


def points(tracker, name):
    return [(point.step, point.value) for point in tracker._client.get_metric_history(tracker.run_id, name)]


def test_curves_are_logged_once_however_often_their_history_is_given(tracker, workspace):
    tracker.log_curves({1: CURVES[1]})
    tracker.log_curves(CURVES)
    Tracker.resume(workspace, tracker.run_id).log_curves(CURVES | {3: {"loss": 1.0}})

    assert points(tracker, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert points(tracker, "ap") == [(1, 0.1)]


def test_what_a_kill_kept_from_the_store_is_logged_later(tracker, workspace):
    tracker.log_metrics({"loss": 3.0}, step=1)  # and killed before "ap"
    Tracker.resume(workspace, tracker.run_id).log_curves(CURVES)

    assert points(tracker, "loss") == [(1, 3.0), (2, 2.0)]
    assert points(tracker, "ap") == [(1, 0.1)]


KILLED = """
import os, signal, sys
from pathlib import Path
from deepmark.tracking.tracker import Tracker
print(Tracker.start(Path(sys.argv[1]), params={}, tags={}).run_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_runs_of_dead_processes_are_closed_as_killed_and_those_of_living_ones_are_not(tracker, workspace):
    dead = subprocess.run([sys.executable, "-c", KILLED, workspace], capture_output=True, text=True, check=False)
    client, run_id = tracker._client, dead.stdout.strip()
    assert client.get_run(run_id).info.status == "RUNNING"

    Tracker.start(workspace, params={}, tags={})

    assert client.get_run(run_id).info.status == "KILLED"
    assert stored(tracker).info.status == "RUNNING"


def test_an_unfinished_run_of_the_same_identity_is_resumed(workspace):
    first = Tracker.start(workspace, params={"train.epochs": 2}, tags={}, identity="7f")
    again = Tracker.start(workspace, params={"train.epochs": 2}, tags={}, identity="7f")
    assert again.run_id == first.run_id
    again.finish("KILLED")
    assert Tracker.start(workspace, params={"train.epochs": 2}, tags={}, identity="7f").run_id == first.run_id
    assert stored(first).info.status == "RUNNING"
    again.finish()

    assert Tracker.start(workspace, params={"train.epochs": 2}, tags={}, identity="7f").run_id != first.run_id


def test_the_shards_of_a_training_are_its_inputs_and_logged_once(sharded):
    tracker = Tracker.start(sharded.root, params={}, tags={})
    counts = {"train": {"images": 12}, "validation": {"images": 6}}
    tracker.log_datasets(counts)
    Tracker.resume(sharded.root, tracker.run_id).log_datasets(counts)
    found = {one.tags[0].value: one.dataset for one in stored(tracker).inputs.dataset_inputs}

    assert len(stored(tracker).inputs.dataset_inputs) == 2
    profiles = {split: json.loads(dataset.profile) for split, dataset in found.items()}
    for split, profile in profiles.items():
        garments = [item for one in read_records(sharded.records_file(split)) for item in one.garments]
        items = profile.pop("items")
        assert sum(items.values()) == len(garments)
        assert items["vest"] == sum(DEEPFASHION2.categories[item.category].name == "vest" for item in garments)
    assert profiles == counts
    assert {dataset.name for dataset in found.values()} == {"shards/train", "shards/validation"}
    assert {split: json.loads(dataset.source)["uri"] for split, dataset in found.items()} == {
        "train": "data/shards/train",
        "validation": "data/shards/validation",
    }
    assert {split: dataset.digest for split, dataset in found.items()} == {
        split: index_sha256(sharded, split)[:32] for split in counts
    }


def test_runs_are_found_by_a_metric_whose_name_has_a_slash(tracker):
    tracker.log_metrics({"box/AP_nms": 0.625})
    experiment = tracker._run.info.experiment_id

    found = tracker._client.search_runs([experiment], "metrics.`box/AP_nms` > 0.5")
    assert [run.info.run_id for run in found] == [tracker.run_id]


def test_a_metric_is_in_the_store_when_logging_returns(tracker):
    tracker.log_metrics({"loss": 1.5, "ap": math.nan}, step=1)

    assert stored(tracker).data.metrics["loss"] == 1.5


def test_more_parameters_and_metrics_than_one_request_carries_are_all_kept(workspace):
    tracker = Tracker.start(workspace, params={f"p{i}": i for i in range(250)}, tags={})
    tracker.log_metrics({f"m{i}": i for i in range(1100)}, step=0)
    run = stored(tracker)

    assert (len(run.data.params), len(run.data.metrics)) == (250, 1100)


def test_an_interrupted_run_is_running_again_when_resumed(tracker, workspace):
    tracker.finish("KILLED")
    again = Tracker.resume(workspace, tracker.run_id)

    assert stored(again).info.status == "RUNNING"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_a_finished_run_stays_as_it_ended_when_more_is_added(tracker, workspace, status):
    tracker.finish()
    end = stored(tracker).info.end_time
    later = Tracker.resume(workspace, tracker.run_id)
    later.log_metrics({"box/AP_nms": 0.5})
    later.finish(status)
    run = stored(later)

    assert (run.info.status, run.info.end_time, run.data.metrics["box/AP_nms"]) == ("FINISHED", end, 0.5)


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_run_to_which_results_are_added_stays_as_it_ended(tracker, workspace, status):
    tracker.finish(status)
    end = stored(tracker).info.end_time
    Tracker.for_results(workspace, tracker.run_id).log_metrics({"box/AP_nms": 0.5})  # as if killed after it
    run = stored(tracker)

    assert (run.info.status, run.info.end_time, run.data.metrics["box/AP_nms"]) == (status, end, 0.5)


def test_an_unknown_run_is_refused_with_advice(workspace, tracker):
    with pytest.raises(DeepmarkError, match=r"has no run 0123.*MLFLOW_TRACKING_URI.*train again"):
        Tracker.resume(workspace, "0123")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "nonsense://there", "sqlite:////proc/nowhere/mlflow.db"])
def test_a_store_that_is_not_there_is_named_with_advice(tmp_path, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(DeepmarkError) as error:
        Tracker.start(tmp_path, params={}, tags={})

    assert f"MLflow at {uri} cannot be used" in str(error.value)
    assert "correct MLFLOW_TRACKING_URI" in str(error.value)


def test_the_runs_page_is_on_the_server_or_where_make_ui_shows_it(tracker, monkeypatch):
    path = f"/#/experiments/{tracker._run.info.experiment_id}/runs/{tracker.run_id}"
    assert tracker.url == f"http://127.0.0.1:5000{path}"

    del tracker.url
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org/")
    assert tracker.url == f"https://mlflow.example.org{path}"


@pytest.mark.parametrize("given", [None, "sqlite:////team/mlflow.db", "http://mlflow.example.org"])
def test_artifacts_lie_beside_a_database_in_a_file_and_where_a_server_wants_them(given, tmp_path, monkeypatch):
    class Client:
        def get_experiment_by_name(self, name: str) -> None: ...

        def create_experiment(self, name: str, artifacts: str | None) -> str:
            return artifacts or "where the server wants them"

    if given:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", given)

    beside = {None: (tmp_path / "mlartifacts").as_uri(), "sqlite:////team/mlflow.db": "file:///team/mlartifacts"}
    assert get_or_create_experiment(Client(), tmp_path) == beside.get(given, "where the server wants them")


def test_the_run_of_an_experiment_names_it(workspace, monkeypatch):
    monkeypatch.setenv(EXPERIMENT_VARIABLE, "slow-start")

    assert stored(Tracker.start(workspace, params={}, tags={})).data.tags["deepmark.experiment"] == "slow-start"


def test_importing_tracking_imports_neither_mlflow_nor_dagster():
    program = (
        "import sys, deepmark.tracking.tracker; print([n for n in ('mlflow', 'dagster', 'torch') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)

    assert done.stdout.strip() == "[]"
