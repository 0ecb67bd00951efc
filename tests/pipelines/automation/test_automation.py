"""The schedule, what is switched on, what becomes out of date, and params.yaml that cannot be used."""

import asyncio
import time
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.definitions import freshness_evaluator
from dagster._core.loader import LoadingContextForTest
from dagster._daemon.freshness import FreshnessDaemon
from plain_workspace import plain_workspace
from workspaces import REPOSITORY

from deepmark.errors import DeepmarkError
from deepmark.params import load_params
from pipelines.code_location import build_definitions


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_definitions(plain_workspace(tmp_path_factory.mktemp("plain")).root)


def test_the_schedule_requests_one_run_for_each_of_its_times(defs):
    schedule = defs.resolve_schedule_def("weekly_retraining")
    times = [datetime(2030, 1, day, 3, tzinfo=UTC) for day in (7, 7, 14)]
    keys = [
        schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=time)).run_requests[0].run_key
        for time in times
    ]

    assert keys[0] == keys[1] != keys[2]
    assert (schedule.cron_schedule, schedule.execution_timezone, schedule.job_name) == ("0 3 * * 1", "UTC", "retrain")


def test_nothing_that_retrains_is_on_before_somebody_switches_it_on(defs):
    repository = defs.get_repository_def()
    states = {one.name: one.default_status.value for one in [*repository.sensor_defs, *repository.schedule_defs]}

    assert states == {
        "raw_data_settled": "STOPPED",
        "weekly_retraining": "STOPPED",
        "tell_of_failures": "RUNNING",
        "killed_runs_start_again": "RUNNING",
    }


def test_only_report_and_champion_become_out_of_date_each_after_its_days(defs):
    policies = {spec.key.to_user_string(): spec.freshness_policy for spec in defs.resolve_all_asset_specs()}
    days = {name: policy.fail_window.to_timedelta().days for name, policy in policies.items() if policy}

    assert days == {"report": 10, "champion": 17}


@pytest.mark.slow
def test_a_champion_is_out_of_date_after_its_days_and_up_to_date_once_renewed(defs, monkeypatch):
    """Does at chosen times what the daemon does every 30 seconds."""
    key = dg.AssetKey("champion")
    node = defs.resolve_asset_graph().get(key)
    day = 24 * 3600.0

    def state(instance: dg.DagsterInstance, *, after: float) -> str:
        monkeypatch.setattr(freshness_evaluator, "get_current_timestamp", lambda: time.time() + after)
        asyncio.run(FreshnessDaemon()._evaluate_asset(LoadingContextForTest(instance), node))
        return instance.get_freshness_state_records([key])[key].freshness_state.value

    with dg.instance_for_test() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
        states = [state(instance, after=16.9 * day), state(instance, after=17.1 * day)]
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
        states.append(state(instance, after=0))

    assert states == ["PASS", "FAIL", "PASS"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("schedule", "weekly", "should match pattern"),
        ("timezone", "Berlin", "not a time zone; they are called Europe/Berlin"),
        ("settled_minutes", -1, "greater than or equal to 0"),
        ("look_every_minutes", 0, "greater than 0"),
        ("report_days", 0.0001, "greater than or equal to 0.001"),
        ("champion_days", 1e9, "less than or equal to 10000"),
    ],
)
def test_impossible_values_are_refused(tmp_path, key, value, words):
    workspace = plain_workspace(tmp_path, **{key: value})

    with pytest.raises(DeepmarkError, match=f"automation: {key}: .*{words}"):
        workspace.params  # noqa: B018


@pytest.mark.slow
def test_a_cron_line_that_only_dagster_refuses_leaves_the_assets_and_shows_the_error(tmp_path):
    workspace = plain_workspace(tmp_path, schedule="0 99 * * 1")
    specs = {spec.key.to_user_string(): spec for spec in build_definitions(workspace.root).resolve_all_asset_specs()}

    assert "0 99 * * 1" in specs["params_yaml_is_broken"].description
    assert {"records", "report"} <= specs.keys()


@pytest.mark.slow
def test_a_params_yaml_that_cannot_be_read_leaves_assets_and_jobs(tmp_path):
    params = plain_workspace(tmp_path).root / "params.yaml"
    params.write_text(params.read_text("utf-8").replace("automation:", "automaton:"))
    defs = build_definitions(tmp_path)

    broken = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}["params_yaml_is_broken"]
    assert "Did you mean 'automation'?" in (broken.description or "")
    assert {job.name for job in defs.get_repository_def().get_all_jobs()} >= {"prepare", "retrain"}


def test_every_profile_has_times(tmp_path):
    for file in (REPOSITORY / "deepmark/workspace/profiles").glob("*.yaml"):
        if file.name != "dvc.yaml":
            assert load_params(file).automation.timezone == "UTC"
