"""A retraining is requested once, when the raw files have changed and then stayed the same for a while."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from plain_workspace import plain_workspace
from toy_workspace import make_workspace
from workspaces import REPOSITORY, set_params

from assets.raw_data import RAW, version_of_records
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


def test_no_retraining_starts_while_files_go_on_changing():
    assert run_keys("a", "b", "c", "d", "e", "f", "g", of_records="a") == [None] * 7


def test_the_version_that_results_were_made_from_is_no_change():
    assert run_keys("a", "a", "a", "a", "a", "a", of_records="a") == [None] * 6
    assert run_keys("b", "a", "a", "a", "a", "a", of_records="a") == [None] * 6


def test_a_workspace_without_records_is_trained():
    assert run_keys("a", "a", "a", "a") == [None, None, None, "raw a since 100"]


def test_files_that_are_restored_to_an_earlier_state_are_a_change():
    keys = run_keys("a", "b", "a", "b", of_records="b", settle_seconds=0)

    assert keys == ["raw a since 100", None, "raw a since 102", None]


def test_an_evaluation_whose_end_was_not_recorded_requests_the_same_run_again():
    before = SensorState(version="b", since=101.0, used="a")
    first, again = (next_state(before, now=now, version="b", of_records="a", settle_seconds=3)[1] for now in (104, 105))

    assert first == again == "raw b since 101"


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
def test_the_sensor_observes_new_files_and_requests_one_retraining(used):
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


@pytest.mark.slow
def test_a_sensor_without_raw_files_says_so_and_goes_on(tmp_path):
    workspace = plain_workspace(tmp_path)
    shutil.rmtree(workspace.raw)
    with dg.instance_for_test() as instance:
        result = sense(workspace.root, instance, None)

    assert isinstance(result, dg.SkipReason)
    assert "data/raw: no such folder" in (result.skip_message or "")


@pytest.mark.slow
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
