"""Tasks and answers through a Label Studio that really runs: nothing is lost on the way, and people see what we meant.

It needs an environment of its own, a gigabyte (`make test-labels` makes it, and names its command in LABEL_STUDIO).
"""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import BROWSER, started_browser
from label_tasks import IMAGE, exported
from processes import free_port, wait_until

from deepmark.data.corrections import Action, read_corrections
from deepmark.labels.choose import raw_items
from deepmark.labels.exchange import import_answers
from deepmark.schema import LabelTool
from deepmark.workspace.layout import Workspace

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif("LABEL_STUDIO" not in os.environ, reason="`make test-labels` installs Label Studio for it"),
]

USER, PASSWORD, TOKEN = "ada@example.com", "a-long-password", "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Studio:
    url: str

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read() or "null")


@pytest.fixture
def studio(asked: Workspace, tmp_path: Path) -> Iterator[Studio]:
    """Label Studio over the raw data of the workspace."""
    port, place = free_port(), tmp_path / "studio"
    place.mkdir()
    local = {"SERVING_ENABLED": "true", "DOCUMENT_ROOT": str(asked.raw.resolve())}
    environment = {f"LABEL_STUDIO_LOCAL_FILES_{name}": value for name, value in local.items()}
    quiet = {"COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false"}
    words = ["start", "--no-browser", "--port", str(port), "--data-dir", str(place), "--username", USER]
    words += ["--password", PASSWORD, "--user-token", TOKEN, "--enable-legacy-api-token"]
    with (place / "log.txt").open("w") as log:
        command, variables = [os.environ["LABEL_STUDIO"], *words], os.environ | environment | quiet
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, cwd=place)
    made = Studio(f"http://localhost:{port}")

    def answers() -> bool:
        try:
            return urllib.request.urlopen(f"{made.url}/health", timeout=5).status == 200
        except OSError:
            return False

    try:
        assert wait_until(answers, seconds=400), (place / "log.txt").read_text()[-2000:]
        yield made
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def project(studio: Studio, asked: Workspace) -> int:
    folder = exported(asked, LabelTool.LABEL_STUDIO)
    wanted = {"title": "audit", "label_config": (folder / "config.xml").read_text()}
    number = int(studio.ask("POST", "/api/projects", wanted)["id"])
    place = {"project": number, "path": str(asked.raw.resolve() / "validation"), "use_blob_urls": True}
    studio.ask("POST", "/api/storages/localfiles", place)
    studio.ask("POST", f"/api/projects/{number}/import", json.loads((folder / "tasks.json").read_text()))
    return number


def tasks_of(studio: Studio, project: int) -> list[dict[str, Any]]:
    return studio.ask("GET", f"/api/tasks?project={project}&fields=all")["tasks"]


def test_what_people_take_over_is_fine_and_what_they_change_arrives(studio, project, asked, tmp_path):
    first, second = tasks_of(studio, project)
    assert first["data"]["deepmark"]["image_id"] == IMAGE
    labels = next(one for one in first["predictions"] if one["model_version"] == "labels")["result"]
    box = next(one for one in labels if one["id"] == "item1")
    box["value"]["rectanglelabels"] = ["skirt" if box["value"]["rectanglelabels"] != ["skirt"] else "trousers"]
    category = box["value"]["rectanglelabels"][0]
    kept = [one for one in labels if not (one.get("parentID") == "item1" or one["id"].startswith("item1."))]
    studio.ask("POST", f"/api/tasks/{first['id']}/annotations", {"result": kept})
    same = next(one for one in second["predictions"] if one["model_version"] == "labels")["result"]
    studio.ask("POST", f"/api/tasks/{second['id']}/annotations", {"result": same})

    file = tmp_path / "export.json"
    file.write_text(json.dumps(studio.ask("GET", f"/api/projects/{project}/export?exportType=JSON")))
    import_answers(asked, file)
    made = {(each.image_id, each.item): each for each in read_corrections(asked.corrections_file)}
    assert json.loads(made[IMAGE, "item1"].after)["category_name"] == category
    assert {each.action for key, each in made.items() if key != (IMAGE, "item1")} == {Action.NOTHING}
    assert {each.by for each in made.values()} != {""}
    assert all(each.at.startswith("20") for each in made.values())


@pytest.mark.skipif(BROWSER is None, reason="neither Chromium nor Chrome is installed")
def test_the_editor_shows_box_and_points_where_the_labels_are(studio, project, asked, tmp_path):
    first, _ = tasks_of(studio, project)
    item = raw_items(asked, "validation", IMAGE)["item1"]
    with started_browser() as chromium:
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"{studio.url}/user/login/")
        page.fill("input[name=email]", USER)
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.goto(f"{studio.url}/projects/{project}/data?task={first['id']}")
        drawn = "window.Konva && Konva.stages.length && Konva.stages[0].find('Circle').length"
        page.wait_for_function(drawn, timeout=120_000)
        page.wait_for_timeout(2000)
        page.screenshot(path=os.environ.get("LABEL_STUDIO_PICTURE", str(tmp_path / "editor.png")))
        shown = page.evaluate("""() => {
          const images = [...document.images].map(one => one.getBoundingClientRect());
          const image = images.sort((a, b) => b.width * b.height - a.width * a.height)[0];
          const stage = Konva.stages[0], origin = stage.container().getBoundingClientRect();
          const place = node => { const r = node.getClientRect({skipShadow: true, skipStroke: true});
            return [origin.x + r.x - image.x, origin.y + r.y - image.y, r.width, r.height]
              .map((value, i) => value / (i % 2 ? image.height : image.width)); };
          return {boxes: stage.find("Rect").map(place), points: stage.find("Circle").map(place)};
        }""")
    result = first["predictions"][0]["result"][0]
    size = np.array([result["original_width"], result["original_height"]])
    box = np.array(item["bounding_box"]) / [*size, *size]
    boxes = np.array(shown["boxes"])
    assert np.abs(boxes[:, :2] - box[:2]).max(axis=1).min() < 0.01
    centres = np.array(shown["points"])[:, :2] + np.array(shown["points"])[:, 2:] / 2
    for x, y, v in np.array(item["landmarks"]).reshape(-1, 3):
        if v > 0:
            assert np.abs(centres - np.array([x, y]) / size).max(axis=1).min() < 0.01
