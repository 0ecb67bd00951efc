"""Scheduled retraining from end to end, by the real daemon on drawn data: `make story`.

A first champion; new pictures, and a better one takes its place; spoiled labels, and what was trained on them is
refused; then a person goes back to the first.
"""

import json
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import pytest
from kills import PLAN, Killer, left_behind
from team import Team, make_workspace
from workspaces import run

from assets.release import GATE
from deepmark.registry.cached_evaluation import stored_evaluation
from deepmark.registry.promote import PROMOTION_TAG
from deepmark.registry.versions import Version
from deepmark.workspace.layout import Workspace
from pipelines.instance import open_instance

pytestmark = [pytest.mark.story, pytest.mark.slow]

FIRST, ALL, VALIDATION = range(1, 401), range(1, 1201), range(1, 101)
"""Numbers of pictures: a third of them is there when the story begins."""

MINUTES = 15
"""For one retraining, kills included."""


@dataclass(kw_only=True)
class Story:
    """What was so at each step, and what is left at the end."""

    workspace: Workspace
    champions: list[int | None] = field(default_factory=list)
    """After each delivery, and after going back."""

    runs: list[dg.DagsterRun] = field(default_factory=list)
    """With which each retraining ended."""

    versions: list[Version] = field(default_factory=list)
    asked_for: int = 0
    told: list[str] = field(default_factory=list)
    """What the webhook got."""

    planned: int = 0
    """Kills."""

    killed: int = 0


def tell(story: Story, team: Team, drawn: Path, kills: Sequence[Sequence[str]], killer: Killer) -> None:
    """The whole of it, in order."""
    deliveries = (
        lambda: (team.deliver(drawn, "validation", VALIDATION), team.deliver(drawn, "train", FIRST)),
        lambda: team.deliver(drawn, "train", ALL[len(FIRST) :]),
        team.spoil_labels,
    )
    for number, arrive in enumerate(deliveries, 1):
        arrive()
        killer.plan += kills[number - 1]
        story.runs.append(team.retraining(number, minutes=MINUTES))
        story.champions.append(team.champion())
        team.tell(f"retraining {number}: {story.runs[-1].status.value}; {said(team.versions()[-1])}")
    news = team.wait_for(lambda: refusals(story), "news of the refusal", minutes=2)
    team.tell(f"the webhook is told: {news[0].splitlines()[0]}")
    run("deepmark", "rollback", cwd=team.workspace.root)
    story.champions.append(team.champion())
    team.tell(f"`deepmark rollback`: version {team.champion()} is the champion")
    story.versions, story.asked_for = team.versions(), len(team.asked_for())


def refusals(story: Story) -> list[str]:
    return [text for text in story.told if GATE in text]


def said(version: Version) -> str:
    """Of a version, its figures and what the gate said."""
    kept = stored_evaluation(version)
    assert kept is not None
    failed = version.json_tag(PROMOTION_TAG)["failed"]
    return f"version {version.number}, landmark AP {kept.figures['landmark_ap']:.3f}, " + (failed[0] if failed else "")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story") / "drawn"
    done = run(
        *("deepmark", "synth", folder, "--train", len(ALL), "--validation", len(VALIDATION), "--seed", 7),
        cwd=folder.parent,
    )
    assert done.code == 0, done.err
    return folder


@contextmanager
def webhook(told: list[str]) -> Iterator[str]:
    """A URL that takes news of failures, and adds them to a list."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module", params=["never killed", "killed"])
def story(request, tmp_path_factory, drawn) -> Story:
    killer, kills = Killer(chance=random.Random(1)), PLAN if request.param == "killed" else ((), (), ())
    workspace = make_workspace(tmp_path_factory.mktemp("story") / "workspace", run_retries=10 if any(kills) else 2)
    story = Story(workspace=workspace)
    print(f"\n{request.param}: {workspace.root}")
    with webhook(story.told) as url:
        with Team(workspace, url, moment=killer) as team:
            tell(story, team, drawn, kills, killer)
        team.tell("the servers are ended")
    story.planned, story.killed = sum(map(len, kills)), killer.done.total()
    return story


def test_the_first_pictures_make_the_first_champion(story):
    assert story.champions[0] == 1


def test_more_pictures_make_a_better_one_which_takes_its_place(story):
    before, after = (stored_evaluation(version).figures["landmark_ap"] for version in story.versions[:2])

    assert after > before
    assert story.champions[1] == 2


def test_what_was_trained_on_spoiled_labels_is_refused(story):
    assert [run.status.value for run in story.runs] == ["SUCCESS", "SUCCESS", "FAILURE"]
    assert len(story.versions) == 3
    assert story.champions[2] == 2


def test_the_reason_is_a_failed_check_in_dagster(story):
    with open_instance(story.workspace.root) as instance:
        key = dg.AssetCheckKey(dg.AssetKey("candidate"), GATE)
        record = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
    check = record.event.dagster_event.asset_check_evaluation_data

    assert not check.passed
    assert "landmark AP: champion" in check.description


def test_the_reason_is_a_tag_in_mlflow(story):
    note = story.versions[2].json_tag(PROMOTION_TAG)

    assert note["against"] == 2
    assert "landmark AP: champion" in note["failed"][0]


def test_the_refusal_is_told_to_the_webhook(story):
    (text,) = set(refusals(story))  # told again where the daemon was killed before it had noted that it told

    assert text.startswith(f"retrain failed: candidate: the check {GATE} failed: landmark AP: champion")


def test_a_person_goes_back_to_the_champion_before(story):
    assert story.champions[3] == 1


def test_each_delivery_was_retrained_on_once(story):
    assert story.asked_for == 3


def test_nothing_is_left_of_it(story):
    with open_instance(story.workspace.root) as instance:
        unfinished = [run for run in instance.get_runs() if not run.is_finished]

    assert left_behind(story.workspace) == []
    assert unfinished == []


def test_killed_or_not_the_versions_are_the_same_byte_for_byte(story, weights):
    weights.append([version.checkpoint for version in story.versions])

    assert weights[-1] == weights[0]


def test_it_was_killed_as_often_as_planned(story):
    assert story.killed == story.planned


@pytest.fixture(scope="module")
def weights() -> list[list[str]]:
    """The sha256 of the weights of all versions, of each story that was told."""
    return []
