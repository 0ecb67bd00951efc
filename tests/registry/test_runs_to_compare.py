"""The report compares with the run before and with the champion, where MLflow's store has them."""

import shutil
from pathlib import Path

import pytest

from deepmark.registry.runs_to_compare import runs_to_compare
from deepmark.registry.versions import CHAMPION, MODEL
from deepmark.tracking.mlflow_store import get_or_create_experiment, open_client, store_errors, tracking_uri
from deepmark.workspace.init import profile_file
from deepmark.workspace.layout import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    shutil.copy(profile_file("demo"), tmp_path / "params.yaml")  # it serves the strategy nms
    return Workspace(tmp_path)


def logged_run(workspace: Workspace, started: int, ap: float | None = None, *, strategy: str = "nms") -> str:
    with store_errors(tracking_uri(workspace.root)):
        client = open_client(workspace.root)
        experiment = get_or_create_experiment(client, workspace.root)
        run = client.create_run(experiment, start_time=started, tags={"data.version": f"data{started}"}).info.run_id
        if ap is not None:
            client.log_metric(run, f"box/AP_{strategy}", ap)
    return run


def make_champion(workspace: Workspace, run: str) -> None:
    client = open_client(workspace.root)
    client.create_registered_model(MODEL)
    version = client.create_model_version(MODEL, (workspace.root / "mlartifacts").as_uri(), run)
    client.set_registered_model_alias(MODEL, CHAMPION, version.version)


def test_the_newest_evaluated_run_before_this_one_and_the_champion_are_compared(workspace):
    champion = logged_run(workspace, 1000, 0.4)
    logged_run(workspace, 2000, 0.3)
    before = logged_run(workspace, 3000, 0.5)
    logged_run(workspace, 4000)  # was never evaluated
    logged_run(workspace, 4500, 0.9, strategy="flip")
    this = logged_run(workspace, 5000, 0.6)
    logged_run(workspace, 6000, 0.7)  # is newer
    make_champion(workspace, champion)

    found = runs_to_compare(workspace, this)

    assert [(one.name, one.run_id, one.figures, one.data_version) for one in found] == [
        ("run before", before, {"box_ap": 0.5}, "data3000"),
        ("champion, version 1", champion, {"box_ap": 0.4}, "data1000"),
    ]


def test_a_run_is_not_compared_with_itself_nor_twice_with_the_champion(workspace):
    before, this = logged_run(workspace, 1000, 0.4), logged_run(workspace, 2000, 0.5)
    make_champion(workspace, before)

    assert [one.name for one in runs_to_compare(workspace, this)] == ["champion, version 1"]
    assert runs_to_compare(workspace, before) == []


def test_a_workspace_without_a_store_has_none_and_gets_none(workspace):
    assert runs_to_compare(workspace, "a" * 32) == []
    assert not (workspace.root / "mlflow.db").exists()


def test_a_store_that_cannot_be_used_is_told_and_the_report_goes_on(workspace, caplog):
    (workspace.root / "mlflow.db").write_bytes(b"no database" * 100)

    assert runs_to_compare(workspace, "a" * 32) == []
    assert "the report compares with no earlier run" in caplog.text
