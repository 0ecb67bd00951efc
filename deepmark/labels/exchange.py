"""Tasks out to people, and their answers back as corrections: what `deepmark label` does."""

import json
import math
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from deepmark.data.corrections import Action, Correction, item_text, merged, read_corrections, write_corrections
from deepmark.data.ingest.annotation import check_item
from deepmark.data.ingest.strict_json import InvalidInputError
from deepmark.data.ingest.validate import jpeg_size
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, new_folder, require_file, write_text
from deepmark.infer.find_images import Source
from deepmark.labels import coco_tasks, label_studio, page_decisions
from deepmark.labels.answers import corrections_of
from deepmark.labels.choose import asked_by_audit, asked_for_uncertainty, make_tasks, raw_items
from deepmark.labels.file_format import format_of
from deepmark.schema import SPLITS, AskedFrom, LabelTool
from deepmark.workspace.environment import tool
from deepmark.workspace.ingest_inputs import CORRECTIONS, check_dependencies, with_dependencies
from deepmark.workspace.layout import Workspace

RawItems = Callable[[str, int], dict[str, Any]]
"""The items of an annotation file by split and image."""


def export_tasks(
    workspace: Workspace,
    source: AskedFrom,
    tool: LabelTool,
    out: Path,
    *,
    limit: int,
    url: str,
    images: Sequence[Source] = (),
    recursive: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Write tasks for at most `limit` images into the new folder `out`; `url` goes before images in Label Studio.

    Those from NEW are some of `images`, which `deepmark.labels.new_images` chooses. Raises DeepmarkError where there is
    something in the folder, and where nothing is left to ask.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DeepmarkError(f"{out}: there is something already. Give a new folder.")
    if images and source is not AskedFrom.NEW:
        raise DeepmarkError(f"{images[0]}: --from {source} asks about images of the data. --from new takes others.")
    facts: dict[str, Any] = {}
    if source is AskedFrom.NEW:
        from deepmark.labels.new_images import new_tasks  # which imports torch

        tasks, facts = new_tasks(workspace, images, limit, recursive=recursive, note=note)
    else:
        ask = asked_by_audit if source is AskedFrom.AUDIT else asked_for_uncertainty
        tasks = make_tasks(workspace, ask(workspace, limit))
    if not tasks:
        raise DeepmarkError(f"Nothing is left to ask from `{source}`: people have decided about all of it.")
    vocabulary = workspace.vocabulary
    with new_folder(out) as draft:
        if tool is LabelTool.LABEL_STUDIO:
            label_studio.write_tasks(draft, tasks, vocabulary, url=url)
        else:
            coco_tasks.write_tasks(draft, tasks, vocabulary)
    shown = sum(len(task.detections) for task in tasks)
    return {
        "pictures": len(tasks),
        "items": sum(len(task.labels) for task in tasks),
        "detections": shown,
        **facts,
        "out": str(out),
    }


def import_answers(workspace: Workspace, path: Path, tool: LabelTool | None = None) -> dict[str, Any]:
    """Take the answers in a file into the workspace's corrections, in the place of earlier ones about the same items.

    What the file is, its content says; `tool` is what to call a COCO file's source. Raises DeepmarkError where it is no
    such file, where nobody has answered anything in it, and where a new label is none that `ingest` takes.
    """
    check_dependencies(workspace.root)  # corrections that DVC knows of and that are not here would be lost
    earlier = read_corrections(workspace.corrections_file)
    raw = cache(partial(raw_items, workspace))
    made, whole, left_out = _read(workspace, path, tool, raw)
    if not made:
        raise DeepmarkError(f"{path}: nobody has decided anything in it, so nothing was written. Export it once it is.")
    latest: dict[tuple[str, int], float] = {}
    for each in earlier:
        latest[_key(each)] = max(_moment(each.at), latest.get(_key(each), 0.0))
    older = {key for key, at in whole.items() if _moment(at) < latest.get(key, 0.0)}
    mended = {(*_key(each), each.item) for each in earlier if each.action is not Action.NOTHING}
    kept = [each for each in earlier if _key(each) not in whole or _key(each) in older]
    made = [each for each in made if _key(each) not in older and (whole or (*_key(each), each.item) not in mended)]
    _check(workspace, made, raw)
    every = merged(kept, made)
    write_corrections(workspace.corrections_file, every)
    _tell_dvc(workspace)
    actions = Counter(each.action.value for each in made)
    return {
        "decisions": len(made),
        **{action.value: actions[action.value] for action in Action if actions[action.value]},
        "corrections": sum(each.action is not Action.NOTHING for each in every),
        **({"older_than_what_is_there": len(older)} if older else {}),
        **({"further_answers_left_out": left_out} if left_out else {}),
        "file": str(workspace.corrections_file),
    }


def _key(correction: Correction) -> tuple[str, int]:
    return correction.split, correction.image_id


def _moment(text: str) -> float:
    """Seconds since 1970 of a date and time; 0 where it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _check(workspace: Workspace, corrections: Iterable[Correction], raw: RawItems) -> None:
    """Raise DeepmarkError where a correction is of an image that is not there, or makes an item that ingest refuses."""

    @cache
    def size(split: str, image: int) -> tuple[int, int]:
        return jpeg_size(image_file(workspace, split, image).read_bytes(), max_megapixels=math.inf)

    for each in corrections:
        where = f"image {each.image_id} of {each.split}, {each.item}"
        if each.split not in SPLITS:
            raise DeepmarkError(f"{where}: there is no such split.")
        items = raw(each.split, each.image_id)
        if each.item and each.action is not Action.ADD and each.item not in items:
            raise DeepmarkError(f"{where}: its annotation file has no such item.")
        if not each.after:
            continue
        try:
            item = json.loads(each.after)
            check_item(each.item, item, size=size(each.split, each.image_id), vocabulary=workspace.vocabulary)
        except OSError as error:
            raise DeepmarkError(f"{where}: its image cannot be read ({error.strerror or error}).") from None
        except InvalidInputError as error:
            raise DeepmarkError(
                f"{where}: what was made of it is no label: {error.reason}. Mend it in the tool."
            ) from None


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


def _read(
    workspace: Workspace, path: Path, tool: LabelTool | None, raw: RawItems
) -> tuple[list[Correction], dict[tuple[str, int], str], int]:
    """The decisions in a file; the images of which it says all that is to be there, with when that was said; and the
    number of answers that are left out, for there is another one of the same task."""
    remedy = "Export from Label Studio as JSON, from CVAT as COCO Keypoints 1.0."
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DeepmarkError(f"{path}: {error.strerror or error}. Name the file that the tool exported.") from None
    except (ValueError, RecursionError):
        raise DeepmarkError(f"{path}: is {format_of(path)}, not JSON. {remedy}") from None
    if isinstance(content, dict) and content.get("format") == page_decisions.FORMAT:
        return list(page_decisions.decisions_of(content, path)), {}, 0
    if isinstance(content, list):
        answers = list(label_studio.read_answers(path, workspace.vocabulary))
    else:
        source = (tool or LabelTool.CVAT).value
        answers = list(coco_tasks.read_answers(path, workspace.vocabulary, _items(workspace, raw), source=source))
    whole = {(answer.split, answer.image_id): answer.at for answer in answers if not answer.unsure}
    left_out = sum(answer.left_out for answer in answers)
    return [each for answer in answers for each in corrections_of(answer)], whole, left_out


def image_file(workspace: Workspace, split: str, image: int) -> Path:
    return workspace.raw / split / "image" / f"{image:06d}.jpg"


def _items(workspace: Workspace, raw: RawItems) -> coco_tasks.Items:
    def items(split: str, image: int) -> tuple[str, dict[str, tuple[str, list[float]]]]:
        found = raw(split, image)
        sha256 = file_sha256(require_file(image_file(workspace, split, image), "deepmark ingest"))
        return sha256, {name: (item_text(item), item["bounding_box"]) for name, item in found.items()}

    return items


def drop_corrections(workspace: Workspace, image: int, item: str | None) -> int:
    """Take the decisions about an image, or one of its items, out of the corrections; returns how many these were."""
    every = read_corrections(workspace.corrections_file)
    kept = [each for each in every if each.image_id != image or (item is not None and each.item != item)]
    if len(kept) == len(every):
        what = f"image {image}" + (f", {item}" if item else "")
        raise DeepmarkError(f"{workspace.corrections_file}: says nothing of {what}.")
    write_corrections(workspace.corrections_file, kept)
    _tell_dvc(workspace)
    return len(every) - len(kept)
