"""What starts by itself does so once: by the clock, and when the raw files have changed and are left alone."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions import freshness_evaluator
from dagster._core.loader import LoadingContextForTest
from dagster._daemon.freshness import FreshnessDaemon
from toy_workspace import REPOSITORY, make_workspace
from workspaces import set_params

from assets.raw_data import RAW, version_of_records
from deepmark.errors import DeepmarkError
from deepmark.params import load_params
from deepmark.workspace.layout import Workspace
from pipelines.automation.raw_data_sensor import SensorState, next_state
from pipelines.code_location import build_definitions
from pipelines.instance import open_instance
from pipelines.materialize import materialize_all


def run_keys(*versions: str, of_records: str | None = None, settle_seconds: float = 3.0) -> list[str | None]:
    """The run keys of evaluations a second apart, the first at second 100."""
    keys, state = [], SensorState()
    for now, version in enumerate(versions, 100):
        state, key = next_state(state, now=now, version=version, of_records=of_records, settle_seconds=settle_seconds)
        keys.append(key)
    return keys


def test_a_changed_version_is_retrained_on_once_it_has_settled_and_only_once():
    assert run_keys("a", "b", "b", "b", "b", "b", "b", of_records="a") == [
        *[None, None, None, None],
        *["raw b since 101", None, None],
    ]


def test_files_that_go_on_changing_are_waited_for():
    assert run_keys("a", "b", "c", "d", "e", "f", "g", of_records="a") == [None] * 7


def test_what_results_were_made_from_is_no_news():
    assert run_keys("a", "a", "a", "a", "a", "a", of_records="a") == [None] * 6
    assert run_keys("b", "a", "a", "a", "a", "a", of_records="a") == [None] * 6


def test_a_workspace_in_which_nothing_was_made_yet_is_trained():
    assert run_keys("a", "a", "a", "a") == [None, None, None, "raw a since 100"]


def test_files_that_are_put_back_as_they_were_are_news():
    keys = run_keys("a", "b", "a", "b", of_records="b", settle_seconds=0)

    assert keys == ["raw a since 100", None, "raw a since 102", None]


def test_a_look_whose_end_was_not_recorded_asks_for_the_same_run_again():
    before = SensorState(version="b", since=101.0, used="a")
    first, again = (next_state(before, now=now, version="b", of_records="a", settle_seconds=3)[1] for now in (104, 105))

    assert first == again == "raw b since 101"


def plain_workspace(folder: Path, **automation: object) -> Workspace:
    """The files that definitions are read from, and one raw picture; neither git nor DVC."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(REPOSITORY / name, folder / name)
    (folder / "data/raw/train").mkdir(parents=True)
    (folder / "data/raw/train/1.jpg").touch()
    return set_params(Workspace(folder), automation={"settled_minutes": 0} | automation)


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_definitions(plain_workspace(tmp_path_factory.mktemp("plain")).root)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dg.DagsterInstance]]:
    """A workspace whose records were made, and its instance."""
    folder = tmp_path_factory.mktemp("used")
    make_workspace(folder, (REPOSITORY / "dvc.yaml").read_text("utf-8"))
    set_params(Workspace(folder), automation={"settled_minutes": 0})
    with open_instance(folder) as instance:
        materialize_all(folder, instance=instance, select=["records"])
        yield folder, instance


def sense(folder: Path, instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult:
    defs = build_definitions(folder)
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs)
    return defs.resolve_sensor_def("raw_data_settled")(context)


@pytest.mark.slow
def test_records_remember_which_raw_files_they_were_made_from(used):
    _, instance = used
    (observed,) = instance.fetch_observations(dg.AssetKey(RAW), limit=1).records

    assert version_of_records(instance) == observed.asset_observation.tags["dagster/data_version"]


@pytest.mark.slow
def test_the_sensor_observes_new_files_and_asks_for_retrain_once(used):
    first = sense(*used, None)
    (used[0] / "data/raw/train/9.jpg").touch()
    second = sense(*used, first.cursor)
    third = sense(*used, second.cursor)

    assert not first.run_requests
    assert "as it was when it was last used" in (first.skip_reason.skip_message or "")
    (request,) = second.run_requests
    (event,) = second.asset_events
    assert event.asset_key == dg.AssetKey(RAW)
    assert event.data_version in request.run_key
    assert not third.run_requests
    assert not third.asset_events


def test_a_sensor_without_raw_files_says_so_and_goes_on(tmp_path):
    workspace = plain_workspace(tmp_path)
    shutil.rmtree(workspace.raw)
    with dg.instance_for_test() as instance:
        result = sense(workspace.root, instance, None)

    assert isinstance(result, dg.SkipReason)
    assert "data/raw: no such folder" in (result.skip_message or "")


def test_a_cursor_that_somebody_edited_is_a_fresh_start(tmp_path):
    with dg.instance_for_test() as instance:
        assert sense(plain_workspace(tmp_path).root, instance, "edited").run_requests


@pytest.mark.slow
def test_the_button_in_the_graph_observes_the_same_version_as_the_sensor(tmp_path):
    root = plain_workspace(tmp_path).root
    with dg.instance_for_test() as instance:
        (event,) = sense(root, instance, None).asset_events
        raw = [dg.AssetKey(RAW)]
        build_definitions(root).resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=raw
        )
        (observed,) = instance.fetch_observations(raw[0], limit=1).records

    assert observed.asset_observation.data_version == event.data_version
    assert observed.asset_observation.metadata["files"].value == 1


def test_the_schedule_asks_once_for_each_of_its_times(defs):
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


def test_report_and_champion_have_days_of_their_own_and_nothing_else_grows_old(defs):
    policies = {spec.key.to_user_string(): spec.freshness_policy for spec in defs.resolve_all_asset_specs()}
    days = {name: policy.fail_window.to_timedelta().days for name, policy in policies.items() if policy}

    assert days == {"report": 10, "champion": 17}


def test_a_champion_is_out_of_date_after_its_days_and_up_to_date_once_renewed(defs, monkeypatch):
    """What the daemon does every 30 seconds, at times of our choice."""
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
def test_values_that_cannot_be_are_refused(tmp_path, key, value, words):
    workspace = plain_workspace(tmp_path, **{key: value})

    with pytest.raises(DeepmarkError, match=f"automation: {key}: .*{words}"):
        workspace.params  # noqa: B018


def test_a_cron_line_that_only_dagster_knows_to_be_wrong_leaves_the_assets_and_says_why(tmp_path):
    workspace = plain_workspace(tmp_path, schedule="0 99 * * 1")
    specs = {spec.key.to_user_string(): spec for spec in build_definitions(workspace.root).resolve_all_asset_specs()}

    assert "0 99 * * 1" in specs["params_yaml_is_broken"].description
    assert {"records", "report"} <= specs.keys()


def test_a_params_yaml_that_cannot_be_read_leaves_assets_and_jobs(tmp_path):
    params = plain_workspace(tmp_path).root / "params.yaml"
    params.write_text(params.read_text("utf-8").replace("automation:", "automaton:"))
    defs = build_definitions(tmp_path)

    broken = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}["params_yaml_is_broken"]
    assert "Did you mean 'automation'?" in (broken.description or "")
    assert {job.name for job in defs.get_repository_def().get_all_jobs()} >= {"prepare", "retrain"}


def test_every_profile_says_when(tmp_path):
    for file in (REPOSITORY / "deepmark/workspace/profiles").glob("*.yaml"):
        if file.name != "dvc.yaml":
            assert load_params(file).automation.timezone == "UTC"
