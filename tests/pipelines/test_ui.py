"""The servers of `make ui` over toy commands: Dagster's pages in a real browser, and how runs and servers end.

The tests send the GraphQL that the buttons of the pages send.
"""

import shutil
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
import toy_registry
from processes import processes_in, wait_until
from ui_server import Dagster, running
from workspaces import set_params

from assets import registry_command, release
from deepmark.workspace.layout import Workspace
from pipelines.code_location import build_definitions
from pipelines.instance import open_instance

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")
from dagster_pages import BROWSER, WIDE, open_browser, open_check, open_graph, open_log, open_plots, place, save

pytestmark = pytest.mark.system

APS = [0.41, 0.45, 0.33]
"""Landmark AP of the versions; the third is refused."""

GROUPS = {
    "data": ["raw_deepfashion2", "records", "shards"],
    "training": ["checkpoint"],
    "evaluation": ["exported_model", "held_out_predictions", "predictions", "metrics", "report", "suspected_labels"],
    "release": ["candidate", "champion"],
}


@pytest.fixture(scope="module")
def retrained(made_copy, tmp_path_factory) -> Path:
    """A workspace with three candidates, in which a training would not end."""
    workspace = Path(shutil.copytree(made_copy, tmp_path_factory.mktemp("pages") / "workspace"))
    toy_registry.install(workspace)
    job = build_definitions(workspace).resolve_job_def("release")
    with pytest.MonkeyPatch.context() as patch, open_instance(workspace) as instance:
        patch.setattr(registry_command, "COMMAND", toy_registry.COMMAND)
        for number in range(1, len(APS) + 1):
            toy_registry.tell(workspace, toy_registry.challenge(APS[:number]))
            job.execute_in_process(instance=instance, raise_on_error=False)
    set_params(Workspace(workspace), train={"epochs": 7})
    (workspace / "endless").touch()
    return workspace


@pytest.fixture(scope="module")
def servers(retrained):
    with running(retrained) as servers:
        yield servers


@pytest.fixture(scope="module")
def dagster(servers) -> Dagster:
    return servers[1]


@pytest.fixture(scope="module")
def shown(dagster):
    return dagster.assets()


@pytest.fixture(scope="module")
def page(dagster):
    if BROWSER is None:
        pytest.skip("neither Chromium nor Chrome is installed")
    with open_browser(dagster.url) as page:
        yield page


def test_the_graph_runs_from_data_by_training_and_evaluation_to_release(page, shown):
    assert {name: one["groupName"] for name, one in shown.items()} == {
        name: group for group, names in GROUPS.items() for name in names
    }

    places = open_graph(page, [*GROUPS, *shown], made=shown.keys() - {"raw_deepfashion2"})

    for group, after in pairwise(GROUPS):
        assert places[group].right < places[after].left
    for group, names in GROUPS.items():
        assert all(places[group].contains(places[name]) for name in names)
    assert all(0 < one.left < one.right < WIDE["width"] for one in places.values())
    bar = place(page.get_by_role("button", name="Materialize all"))
    assert all(bar.bottom < one.top < one.bottom < WIDE["height"] for one in places.values())


def test_ap_is_plotted_over_materializations_in_a_picture_for_a_page(page, tmp_path):
    lines = open_plots(page, "candidate")
    save(page, tmp_path / "plots.png")

    assert lines["landmark AP"] == APS
    assert lines["version"] == [1, 2, 3]
    assert 10_000 < (tmp_path / "plots.png").stat().st_size < 150_000


def test_a_refused_candidate_is_a_failed_check_that_says_why(page, dagster):
    asset, check = dagster.failed_check()
    text = open_check(page, asset, check)

    assert (asset, check) == ("candidate", release.GATE)
    assert "landmark AP: champion 0.4500, challenger 0.3300; needed: low > -0.005" in text
    assert "Failed" in text.split("Latest execution")[1]
    row = page.get_by_role("row").filter(has_text="0.4500").last
    assert row.locator("td").all_inner_texts()[:3] == ["landmark AP", "0.4500", "0.3300"]
    assert page.locator("canvas").count() == 2


def test_epochs_stand_in_the_log_while_the_training_runs(page, dagster):
    run = dagster.launch("train")

    lines = open_log(page, run, epochs=2)

    assert dagster.last_run("train") == run
    assert lines == ["epoch 1: loss/train 8", "epoch 2: loss/train 4"]
    assert page.get_by_text("Terminate").is_visible()
    assert dagster.status(run) == "STARTED"
    dagster.cancel(run)


@pytest.mark.parametrize("asset", [name for names in GROUPS.values() for name in names])
def test_an_asset_says_what_it_is_and_shows_neither_errors_nor_raw_json(asset, shown):
    materializations = shown[asset]["assetMaterializations"]

    assert shown[asset]["description"].endswith(".")
    assert len(materializations) == (0 if asset == "raw_deepfashion2" else 1)  # which is observed
    for entry in materializations and materializations[0]["metadataEntries"]:
        assert entry["__typename"] != "JsonMetadataEntry"
        assert "Error" not in entry.get("text", "")


def train(workspace: Path, dagster: Dagster) -> str:
    """The id of a run that has come to the training itself; no other trains meanwhile."""
    assert wait_until(lambda: not processes_in(workspace, word="commands.py"), seconds=30)
    (workspace / "started").unlink(missing_ok=True)
    run = dagster.launch("train")
    assert wait_until((workspace / "started").exists, seconds=90)
    return run


def test_cancelling_a_run_ends_every_process_below_it_within_five_seconds(retrained, dagster):
    run = train(retrained, dagster)
    assert len(processes_in(retrained, word="commands.py")) > 0

    canceled = time.monotonic()
    dagster.cancel(run)
    ended = wait_until(lambda: not processes_in(retrained, word="commands.py"), seconds=5)
    took = time.monotonic() - canceled

    assert ended
    assert took < 5
    assert wait_until(lambda: dagster.status(run) == "CANCELED", seconds=30)


def test_ctrl_c_ends_the_servers_and_the_runs_they_started(retrained, servers):
    """The last of this file: the servers are gone then."""
    process, dagster = servers
    train(retrained, dagster)

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)

    assert processes_in(retrained) == []
