"""The servers of `make ui`: their command lines hold no secret, and the pages to begin with are printed."""

import pytest
from plain_workspace import plain_workspace

from deepmark.tracking.mlflow_store import get_or_create_experiment, open_client
from pipelines import ui

STORE = "postgresql+psycopg2://me:secret@127.0.0.1:9/runs"


@pytest.fixture
def started(tmp_path, monkeypatch):
    """The words and the environment of every process that `serve` would start."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", STORE)
    found = []

    class Process:
        def __init__(self, words, **options):
            found.append((list(words), options["env"]))

        def terminate(self): ...

        def communicate(self): ...

    monkeypatch.setattr(ui.subprocess, "Popen", Process)
    monkeypatch.setattr(ui, "_answers", lambda port: False)
    monkeypatch.setattr(ui, "_await", lambda running, home: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ui.serve(plain_workspace(tmp_path).root)
    return found


def test_no_command_line_holds_a_password_and_mlflow_gets_its_store_by_the_environment(started):
    assert [words[words.index("-m", 4) + 1] for words, _ in started] == ["dagster", "mlflow"]
    assert not [word for words, _ in started for word in words if "secret" in word]
    assert started[1][1]["MLFLOW_BACKEND_STORE_URI"] == STORE


@pytest.mark.slow
def test_the_pages_to_begin_with_are_those_of_the_graph_and_of_the_experiment(tmp_path):
    workspace, store = tmp_path, f"sqlite:///{tmp_path}/mlflow.db"
    addresses = {"Dagster": "http://127.0.0.1:3000", "MLflow": "http://127.0.0.1:5000"}
    lines = list(ui._where_to_look(workspace, addresses, store))
    experiment = get_or_create_experiment(open_client(workspace), workspace)

    assert lines == [
        "Dagster  http://127.0.0.1:3000/asset-groups",
        f"MLflow   http://127.0.0.1:5000/#/experiments/{experiment}/runs",
    ]
    open_client(workspace).delete_experiment(experiment)
    assert "mlflow experiments restore -x" in list(ui._where_to_look(workspace, addresses, store))[1]


def test_the_address_of_a_server_that_runs_elsewhere_shows_no_password(tmp_path, monkeypatch):
    store = "http://me:secret@127.0.0.1:9"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    lines = "\n".join(ui._where_to_look(tmp_path, {"Dagster": "http://127.0.0.1:3000"}, store))

    assert "MLflow   http://me:***@127.0.0.1:9\n" in lines
    assert "secret" not in lines
