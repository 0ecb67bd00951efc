"""candidate and champion as Dagster shows them. The commands answer as a test tells them to."""

from pathlib import Path

import dagster as dg
import pytest
import toy_registry
from toy_registry import REFUSED, answers
from workspaces import REPOSITORY

from assets import registry_command, release
from assets.dvc.graph import read_graph
from pipelines.code_location import build_definitions


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Materialize both assets where the commands answer as told: the result, and what was asked."""
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_text((REPOSITORY / name).read_text("utf-8"))
    toy_registry.install(tmp_path)
    monkeypatch.setattr(registry_command, "COMMAND", toy_registry.COMMAND)

    def made(said: dict) -> tuple[dg.ExecuteInProcessResult, list[str]]:
        toy_registry.tell(tmp_path, said)
        result = dg.materialize(release.assets(read_graph(tmp_path)), raise_on_error=False)
        return result, (tmp_path / "asked").read_text().splitlines()

    made.folder = tmp_path
    return made


def shown(result: dg.ExecuteInProcessResult, asset: str) -> dict:
    (event,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def failures(result: dg.ExecuteInProcessResult) -> list[dg.DagsterEvent]:
    return [event for event in result.all_events if event.is_step_failure]


@pytest.mark.slow
def test_a_candidate_that_passes_the_gate_becomes_champion(make):
    result, asked = make(answers())
    candidate, champion = shown(result, "candidate"), shown(result, "champion")

    assert result.success
    assert asked == ["register", "promote --dry-run", "promote"]
    assert (candidate["version"], candidate["landmark AP"], champion["version"]) == (2, 0.25, 2)
    assert "|landmark AP|0.5000|0.2500|" in candidate["gate"]
    assert "|landmark AP of vest|0.5000|0.2500|" in candidate["gate"]
    assert "|2|" in champion["versions"]
    assert (make.folder / "run").read_text() == result.run_id


@pytest.mark.slow
def test_a_candidate_that_fails_the_gate_is_a_failed_check_and_the_champion_is_left_alone(make):
    result, asked = make(answers() | {"promote --dry-run": {"facts": REFUSED, "status": 1, "error": "refused"}})
    (check,) = result.get_asset_check_evaluations()

    assert (check.check_name, check.passed, check.severity) == (release.GATE, False, dg.AssetCheckSeverity.ERROR)
    assert check.description == "landmark AP: champion 0.5000, challenger 0.2500"
    numbers = {name: value.value for name, value in check.metadata.items()}
    assert (numbers["landmark AP of the champion"], numbers["landmark AP of the challenger"]) == (0.5, 0.25)
    assert [row.data["challenger"] for row in numbers["gate"].records] == ["0.2500"]
    assert not result.success
    assert "promote" not in asked
    assert not result.asset_materializations_for_node("champion")


@pytest.mark.slow
def test_a_refused_promotion_fails_the_champion_with_the_reason(make):
    result, _ = make(answers(promote={"facts": REFUSED, "status": 1}))
    (failure,) = failures(result)

    assert failure.step_failure_data.user_failure_data.description == "refused"


@pytest.mark.slow
def test_an_error_of_a_command_fails_the_step_with_its_message_and_is_not_tried_again(make):
    result, asked = make(answers(register={"status": 1, "error": "deepmark register: nms.parquet: not there yet."}))
    (failure,) = failures(result)

    assert "deepmark register: nms.parquet: not there yet." in failure.step_failure_data.user_failure_data.description
    assert asked == ["register"]


def test_release_comes_after_evaluation_in_the_graph():
    graph = build_definitions(REPOSITORY).resolve_asset_graph()
    parents = {
        name: {key.to_user_string() for key in graph.get(dg.AssetKey(name)).parent_keys}
        for name in ("candidate", "champion")
    }

    assert parents == {"candidate": {"metrics", "report", "exported_model"}, "champion": {"candidate"}}


def test_a_graph_without_metrics_has_no_release(tmp_path: Path):
    (tmp_path / "dvc.yaml").write_text("stages:\n  a: {cmd: a, outs: [a], meta: {dagster: {asset: a}}}\n")

    assert release.assets(read_graph(tmp_path)) == []
