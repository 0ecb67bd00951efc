"""An instance in Postgres, by the commented block of dagster.yaml, on a real server."""

import re
import sys
from pathlib import Path

import dagster as dg
import pytest
from postgres_server import PostgresServer, binaries, postgres_server
from toy_workspace import make_workspace
from workspaces import REPOSITORY, run

from deepmark.errors import DeepmarkError
from pipelines.instance import dagster_home, open_instance
from pipelines.materialize import materialize_all

VARIABLES = PostgresServer(port=1).variables
"""Of a server that nobody has started."""


def uncomment_postgres(workspace: Path) -> Path:
    """Its Dagster folder, with what docs/operations.md says a person does to dagster.yaml."""
    home = workspace / ".dagster"
    home.mkdir()
    text = (REPOSITORY / "dagster.yaml").read_text("utf-8")
    (home / "dagster.yaml").write_text(re.sub(r"^# (?=storage:$|  )", "", text, flags=re.MULTILINE), "utf-8")
    return home


@pytest.fixture
def in_postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose instance is in a Postgres that does not answer."""
    (tmp_path / "dvc.yaml").touch()
    uncomment_postgres(tmp_path)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.mark.system
@pytest.mark.skipif(binaries() is None, reason="no Postgres server here: neither initdb nor /usr/lib/postgresql")
def test_runs_events_assets_and_the_state_of_a_schedule_are_in_postgres(tmp_path, monkeypatch):
    make_workspace(tmp_path, (REPOSITORY / "dvc.yaml").read_text("utf-8"))
    home = uncomment_postgres(tmp_path)
    with postgres_server() as server:
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        ids = materialize_all(tmp_path, select=["records"])
        place = {"DAGSTER_HOME": str(home), "DEEPMARK_WORKSPACE": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
        switched_on = run(
            *("dagster", "schedule", "start", "weekly_retraining", "-m", "pipelines.definitions"), cwd=tmp_path, **place
        )
        with open_instance(tmp_path) as instance:
            made = instance.get_materialized_partitions(dg.AssetKey("records"))

        assert switched_on.code == 0, switched_on.err
        assert sorted(server.ask("SELECT run_id, status FROM runs")) == sorted((one, "SUCCESS") for one in ids)
        assert server.ask(
            "SELECT asset_key, partition FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION' ORDER BY id"
        ) == [('["records"]', "train"), ('["records"]', "validation")]
        assert made == {"train", "validation"}
        assert server.ask("SELECT status, instigator_type FROM instigators") == [("RUNNING", "SCHEDULE")]
        assert server.ask("SELECT DISTINCT concurrency_key FROM concurrency_limits") == [("dvc",)]
        assert list(home.rglob("*.db")) == []


def test_a_missing_package_is_named_with_what_installs_it(in_postgres, monkeypatch):
    monkeypatch.setitem(sys.modules, "dagster_postgres", None)

    with pytest.raises(DeepmarkError, match=r"storage: postgres needs a package.*`pip install '\.\[postgres\]'`"):
        open_instance(in_postgres)


def test_variables_that_are_not_set_are_named(in_postgres, monkeypatch):
    monkeypatch.delenv("DAGSTER_PG_HOST")
    monkeypatch.setenv("DAGSTER_PG_DB", "")

    with pytest.raises(DeepmarkError, match=r"dagster\.yaml wants .* not set: DAGSTER_PG_HOST, DAGSTER_PG_DB\. Set"):
        dagster_home(in_postgres)


def test_a_server_that_does_not_answer_is_told_with_its_reason(in_postgres, monkeypatch):
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0.0)

    with pytest.raises(DeepmarkError, match=r"cannot be used: .*port 1 failed: Connection refused(.|\n)*Start the"):
        open_instance(in_postgres)


@pytest.mark.slow
def test_postgres_stays_out_of_a_workspace_that_did_not_ask_for_it(tmp_path):
    (tmp_path / "dvc.yaml").touch()
    with open_instance(tmp_path) as instance:
        assert not instance.get_runs()

    assert list((tmp_path / ".dagster").rglob("runs.db"))
