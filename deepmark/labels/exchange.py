"""Tasks out to people, and their answers back as corrections: what `deepmark label` does."""

import json
import subprocess
from collections import Counter
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Any

from deepmark.data.corrections import Action, Correction, item_text, merged, write_corrections
from deepmark.errors import DeepmarkError
from deepmark.files import new_folder, write_text
from deepmark.labels import coco_tasks, label_studio, page_decisions
from deepmark.labels.answers import corrections_of
from deepmark.labels.choose import asked_by_audit, asked_for_uncertainty, make_tasks, raw_items
from deepmark.labels.choose import corrections_of as decided
from deepmark.workspace.environment import tool
from deepmark.workspace.ingest_inputs import CORRECTIONS, with_dependencies
from deepmark.workspace.layout import Workspace


class Reason(StrEnum):
    """Why images are asked about."""

    AUDIT = "audit"
    UNCERTAIN = "uncertain"


class Tool(StrEnum):
    """For which tool tasks are written."""

    LABEL_STUDIO = "label-studio"
    CVAT = "cvat"
    COCO = "coco"


def export_tasks(
    workspace: Workspace, reason: Reason, tool: Tool, out: Path, *, limit: int, url: str
) -> dict[str, Any]:
    """Write tasks for at most `limit` images into the new folder `out`; `url` goes before images in Label Studio.

    Raises DeepmarkError where there is something in the folder, and where nothing is left to ask.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DeepmarkError(f"{out}: there is something already. Give a new folder.")
    ask = asked_by_audit if reason is Reason.AUDIT else asked_for_uncertainty
    tasks, vocabulary = make_tasks(workspace, ask(workspace, limit)), workspace.vocabulary
    if not tasks:
        raise DeepmarkError(f"Nothing is left to ask from `{reason}`: people have decided about all of it.")
    with new_folder(out) as draft:
        if tool is Tool.LABEL_STUDIO:
            label_studio.write_tasks(draft, tasks, vocabulary, url=url)
        else:
            coco_tasks.write_tasks(draft, tasks, vocabulary)
    shown = sum(len(task.detections) for task in tasks)
    return {
        "pictures": len(tasks),
        "items": sum(len(task.labels) for task in tasks),
        "detections": shown,
        "out": str(out),
    }


def import_answers(workspace: Workspace, path: Path, tool: Tool | None = None) -> dict[str, Any]:
    """Take the answers in a file into the workspace's corrections, in the place of earlier ones about the same items.

    What the file is, its content says; `tool` is what to call a COCO file's source. Raises DeepmarkError where it is no
    such file, and where a new label is none that `ingest` takes.
    """
    made, whole = _read(workspace, path, tool)
    every = merged((each for each in decided(workspace) if (each.split, each.image_id) not in whole), made)
    write_corrections(workspace.corrections_file, every)
    _tell_dvc(workspace)
    actions = Counter(each.action.value for each in made)
    return {
        "decisions": len(made),
        **{action.value: actions[action.value] for action in Action if actions[action.value]},
        "corrections": sum(each.action is not Action.NOTHING for each in every),
        "file": str(workspace.corrections_file),
    }


def _tell_dvc(workspace: Workspace) -> None:
    """Let the stage ingest depend on the corrections, and DVC keep their versions."""
    root, file = workspace.root, workspace.root / "dvc.yaml"
    if file.is_file() and (text := with_dependencies(before := file.read_text("utf-8"), root)) != before:
        write_text(file, text)
    if (root / ".dvc").is_dir():
        done = subprocess.run(
            [tool("dvc"), "add", "--quiet", CORRECTIONS], cwd=root, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DeepmarkError(f"{root / CORRECTIONS}: is written, but `dvc add` failed: {done.stderr.strip()}")


def _read(workspace: Workspace, path: Path, tool: Tool | None) -> tuple[list[Correction], Collection[tuple[str, int]]]:
    """The decisions in a file, and the images, by split and number, of which it says all that is to be there."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DeepmarkError(f"{path}: {error.strerror or error}. Name the file that the tool exported.") from None
    except ValueError:
        raise DeepmarkError(
            f"{path}: is not JSON. Export from Label Studio as JSON, from CVAT as COCO Keypoints 1.0."
        ) from None
    if isinstance(content, dict) and content.get("format") == page_decisions.FORMAT:
        return list(page_decisions.decisions_of(content, path)), ()
    if isinstance(content, list):
        answers = list(label_studio.read_answers(path, workspace.vocabulary))
    else:
        source = (tool or Tool.CVAT).value
        answers = list(coco_tasks.read_answers(path, workspace.vocabulary, _items(workspace), source=source))
    whole = {(answer.split, answer.image_id) for answer in answers if not answer.unsure}
    return [each for answer in answers for each in corrections_of(answer)], whole


def _items(workspace: Workspace) -> coco_tasks.Items:
    def items(split: str, image: int) -> dict[str, tuple[str, list[float]]]:
        found = raw_items(workspace, split, image)
        return {name: (item_text(item), item["bounding_box"]) for name, item in found.items()}

    return items


def drop_corrections(workspace: Workspace, image: int, item: str | None) -> int:
    """Take the decisions about an image, or one of its items, out of the corrections; returns how many these were."""
    every = decided(workspace)
    kept = [each for each in every if each.image_id != image or (item is not None and each.item != item)]
    if len(kept) == len(every):
        what = f"image {image}" + (f", {item}" if item else "")
        raise DeepmarkError(f"{workspace.corrections_file}: says nothing of {what}.")
    write_corrections(workspace.corrections_file, kept)
    _tell_dvc(workspace)
    return len(every) - len(kept)
