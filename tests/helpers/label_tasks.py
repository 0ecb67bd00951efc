"""Images that people are asked about, and answers of a labelling tool."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from deepmark.audit.label_issue import LabelIssue
from deepmark.labels.exchange import export_tasks
from deepmark.schema import AskedFrom, LabelTool
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace

IMAGE = 2
"""Of the validation split, which the audit names."""


def issue(image: int, item: str | None, score: float, **changes: object) -> LabelIssue:
    fields = {"split": "validation", "kind": "wrong category", "category": None if item is None else "vest"}
    return LabelIssue(image_id=image, item=item, score=score, reason="it looks so", **fields | changes)


def exported(workspace: Workspace, tool: LabelTool, reason: AskedFrom = AskedFrom.AUDIT) -> Path:
    out = workspace.root / f"tasks-{tool}"
    shutil.rmtree(out, ignore_errors=True)
    export_tasks(workspace, reason, tool, out, limit=10, url="/data/local-files/?d=")
    return out


def answered(workspace: Workspace, change: Callable[[list[dict]], list[dict]] = list) -> Path:
    """Label Studio's export of the tasks, in which somebody took over the labels and then changed something."""
    tasks = json.loads((exported(workspace, LabelTool.LABEL_STUDIO) / "tasks.json").read_text("utf-8"))
    for number, task in enumerate(tasks, 1):
        result = task["predictions"][0]["result"]
        made = change(result) if number == 1 else result
        annotation = {"result": made, "completed_by": {"id": 7, "email": "ada@example.com"}}
        task |= {"id": number, "annotations": [annotation | {"updated_at": "2026-01-30T10:00:00Z"}]}
    file = workspace.root / "export.json"
    file.write_text(json.dumps(tasks), "utf-8")
    return file


def moved(result: list[dict]) -> list[dict]:
    """The first landmark ten percent to the right and hidden, the last one taken away, and a new garment."""
    points = [one for one in result if one["type"] == "keypointlabels" and one["parentID"] == "item1"]
    first, last = points[0], points[-1]
    first["value"]["x"] += 10
    gone = [one for one in result if one["id"] not in (last["id"], first["id"])]
    hidden = {**first, "type": "choices", "from_name": "visibility", "value": {"choices": ["hidden"]}}
    size = {name: first[name] for name in ("original_width", "original_height")}
    value = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["shorts"]}
    new = {"id": "Xy_z", "type": "rectanglelabels", "value": value, **size}
    inside = {"x": 15, "y": 25, "keypointlabels": [DEEPFASHION2.by_name["shorts"].parts[0]]}
    return [*gone, first, hidden, new, {"id": "p", "type": "keypointlabels", "value": inside, **size}]
