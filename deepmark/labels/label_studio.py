"""Tasks for Label Studio, and the answers in its JSON export.

A garment is a rectangle, and each of its landmarks a key point whose parent is the rectangle. Coordinates are in
percent of the image. That a landmark is hidden is a choice of the point: Label Studio has no place of its own for it.

Source: Label Studio 1.23, "Label Studio JSON format of annotated tasks".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from deepmark.data.ingest.strict_json import InvalidInputError, parse_json
from deepmark.errors import DeepmarkError
from deepmark.files import write_text
from deepmark.labels.file_format import other_format
from deepmark.labels.task import Answer, LabelTask, Region
from deepmark.vocabulary import Category, Vocabulary

SOURCE = "label-studio"

LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio shows files of a folder that is a storage of the project."""

_HIDDEN = "hidden"
_BOXES, _POINTS, _VISIBILITY, _IMAGE = "garment", "landmark", "visibility", "image"
"""The names of the controls."""


def labelling_config(vocabulary: Vocabulary) -> str:
    """The labelling interface: a rectangle for each category, a key point for each name of a landmark."""

    def labels(names: Sequence[str]) -> str:
        return "\n".join(f"    <Label value={quoteattr(name)}/>" for name in names)

    return f"""<View>
  <Header value="$reasons"/>
  <Image name="{_IMAGE}" value="$image" zoom="true" zoomControl="true"/>
  <RectangleLabels name="{_BOXES}" toName="{_IMAGE}">
{labels([category.name for category in vocabulary.categories])}
  </RectangleLabels>
  <KeyPointLabels name="{_POINTS}" toName="{_IMAGE}" strokeWidth="2">
{labels(list(dict.fromkeys(vocabulary.parts)))}
  </KeyPointLabels>
  <Choices name="{_VISIBILITY}" toName="{_IMAGE}" perRegion="true" whenTagName="{_POINTS}" choice="single">
    <Choice value="{_HIDDEN}"/>
  </Choices>
</View>
"""


def write_tasks(folder: Path, tasks: Sequence[LabelTask], vocabulary: Vocabulary, *, url: str = LOCAL_FILES) -> None:
    """Write tasks.json and config.xml; `url` goes before the path of an image below the raw data."""
    write_text(folder / "config.xml", labelling_config(vocabulary))
    write_text(folder / "tasks.json", json.dumps([_task(task, url) for task in tasks], indent=1) + "\n")


def _task(task: LabelTask, url: str) -> dict[str, Any]:
    predictions: list[dict[str, Any]] = []
    if task.split is not None:
        predictions.append({"model_version": "labels", "result": _results(task, task.labels)})
    if task.detections:
        score = max(region.score or 0.0 for region in task.detections)
        found = {"model_version": "deepmark", "score": round(score, 4), "result": _results(task, task.detections)}
        predictions.append(found)
    return {
        "data": {
            "image": url + quote(task.file),
            "reasons": " ".join(task.reasons) or task.file,
            "deepmark": _identity(task),
        },
        "predictions": predictions,
    }


def _identity(task: LabelTask) -> dict[str, Any]:
    """By which an answer is known to belong to an image of the data; of a new one, that it is new."""
    if task.split is None:
        return {"new": True, "sha256": task.sha256}
    return {"split": task.split, "image_id": task.image_id, "sha256": task.sha256, "items": dict(task.items)}


def _results(task: LabelTask, regions: Sequence[Region]) -> list[dict[str, Any]]:
    size = {"original_width": task.width, "original_height": task.height, "image_rotation": 0}
    scale = 100 / np.array([task.width, task.height])
    results: list[dict[str, Any]] = []
    for region in regions:
        x, y = (region.box[:2] * scale).tolist()
        width, height = ((region.box[2:] - region.box[:2]) * scale).tolist()
        box = {
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "rotation": 0,
            "rectanglelabels": [region.category.name],
        }
        results.append(_result(region.name, "rectanglelabels", _BOXES, box, size))
        for number, (part, (px, py, v)) in enumerate(zip(region.category.parts, region.landmarks, strict=True), 1):
            if v == 0:
                continue
            name, place = f"{region.name}.{number}", dict(zip("xy", (np.array([px, py]) * scale).tolist(), strict=True))
            point = {**place, "width": 0.5, "keypointlabels": [part]}
            results.append(_result(name, "keypointlabels", _POINTS, point, size, parentID=region.name))
            if v == 1:
                hidden = {**place, "width": 0.5, "choices": [_HIDDEN]}
                results.append(_result(name, "choices", _VISIBILITY, hidden, size))
    return results


def _result(
    name: str, kind: str, control: str, value: dict[str, Any], size: dict[str, Any], **more: Any
) -> dict[str, Any]:
    return {"id": name, "type": kind, "from_name": control, "to_name": _IMAGE, "value": value, **size, **more}


def read_tasks(path: Path) -> list[Any]:
    """The tasks in a JSON export of a project; raises DeepmarkError where it is none."""
    expected, remedy = "the JSON export of a Label Studio project", "Export the project as JSON."
    try:
        tasks = parse_json(path.read_bytes())
    except InvalidInputError as error:
        raise (other_format(path, expected) or DeepmarkError(f"{path}: {error.reason}. {remedy}")) from None
    if not isinstance(tasks, list) or not any(isinstance(one, dict) and "data" in one for one in tasks):
        raise other_format(path, expected) or DeepmarkError(f"{path}: holds no task. {remedy}")
    return tasks


def read_answers(path: Path, vocabulary: Vocabulary) -> Iterator[Answer]:
    """The answers in a JSON export of a project; tasks that nobody has answered are passed over.

    Raises DeepmarkError, naming the task, where it was not made by `write_tasks`, and where a point belongs to no box.
    """
    for place, task in enumerate(read_tasks(path)):
        try:
            answer = _answer(task, vocabulary, _Place(path, task, place))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            _Place(path, task, place).fail(f"is not as Label Studio writes it ({type(error).__name__}: {error})")
        if answer is not None:
            yield answer


class _Place:
    """Where in the file an error is."""

    def __init__(self, path: Path, task: Any, place: int) -> None:
        number = task.get("id") if isinstance(task, dict) else None
        self.where = f"{path}: task {number if number is not None else place + 1}"

    def fail(self, what: str, remedy: str = "Export the project as JSON.") -> NoReturn:
        raise DeepmarkError(f"{self.where} {what}. {remedy}")


def _answer(task: Mapping[str, Any], vocabulary: Vocabulary, where: _Place) -> Answer | None:
    known = task["data"].get("deepmark")
    if known is None:
        where.fail("was not made by `deepmark label export`", "Only tasks of this command say of which image they are.")
    if known.get("new"):
        where.fail("is of a new image", "`deepmark import FILE --from label-studio --images DIR --add` takes these.")
    annotations = task.get("annotations", [])
    last = decisive(annotations)
    if last is None:
        return None
    by = last.get("completed_by")
    return Answer(
        split=str(known["split"]),
        image_id=int(known["image_id"]),
        sha256=str(known["sha256"]),
        items={str(name): str(text) for name, text in known["items"].items()},
        regions=() if last.get("was_cancelled") else tuple(_regions(last["result"], vocabulary, where)),
        by=str(by.get("email") or by.get("id") if isinstance(by, dict) else "" if by is None else by),
        at=_moment(last),
        source=SOURCE,
        reason=str(task["data"].get("reasons", "")),
        unsure=bool(last.get("was_cancelled")),
        left_out=len(annotations) - 1,
    )


def regions_of(
    results: Sequence[Mapping[str, Any]], vocabulary: Vocabulary, task: Any, path: Path, place: int
) -> Iterator[Region]:
    """The garments in an annotation's results; raises DeepmarkError, naming the task, where they are no labels."""
    return _regions(results, vocabulary, _Place(path, task, place))


def decisive(annotations: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Of a task's annotations, by whomever, that marked as ground truth, else that changed last; None without any."""
    return max(reversed(annotations), key=lambda one: (bool(one.get("ground_truth")), _moment(one)), default=None)


def _moment(annotation: Mapping[str, Any]) -> str:
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")


def _regions(results: Sequence[Mapping[str, Any]], vocabulary: Vocabulary, where: _Place) -> Iterator[Region]:
    boxes = {one["id"]: one for one in results if one["type"] == "rectanglelabels"}
    hidden = {one["id"] for one in results if one["type"] == "choices" and _HIDDEN in one["value"]["choices"]}
    points: dict[str, list[tuple[str, tuple[float, float], int]]] = {name: [] for name in boxes}
    for one in results:
        if one["type"] != "keypointlabels":
            continue
        part = _only(one["value"]["keypointlabels"], "landmark", where)
        parent = one.get("parentID") or _box_around(one, boxes)
        if parent is None or parent not in boxes:
            where.fail(f'has a point "{part}" that belongs to no box', "Drag it onto its box in the list of regions.")
        points[parent].append((part, _pixels(one, "x", "y"), 1 if one["id"] in hidden else 2))
    for name, one in boxes.items():
        label = _only(one["value"]["rectanglelabels"], "category", where)
        category = vocabulary.by_name.get(label)
        if category is None:
            where.fail(f'has a category "{label}" that the vocabulary {vocabulary.name} has not', "Choose another one.")
        if one["value"].get("rotation"):
            where.fail(f'has a box of "{label}" that is turned', "Set its rotation to 0.")
        x, y = _pixels(one, "x", "y")
        width, height = _pixels(one, "width", "height")
        box = np.array([x, y, x + width, y + height])
        yield Region(name=name, category=category, box=box, landmarks=_landmarks(points[name], category, where))


def _only(labels: Sequence[str], kind: str, where: _Place) -> str:
    if len(labels) != 1:
        where.fail(f"has a region with {len(labels)} labels", f"Give it one {kind}.")
    return str(labels[0])


def _pixels(result: Mapping[str, Any], first: str, second: str) -> tuple[float, float]:
    value = result["value"]
    return value[first] * result["original_width"] / 100, value[second] * result["original_height"] / 100


def _box_around(point: Mapping[str, Any], boxes: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The only box that a point without a parent lies in."""
    x, y = point["value"]["x"], point["value"]["y"]
    around = []
    for name, one in boxes.items():
        value = one["value"]
        if 0 <= x - value["x"] <= value["width"] and 0 <= y - value["y"] <= value["height"]:
            around.append(name)
    return around[0] if len(around) == 1 else None


def _landmarks(points: Sequence[tuple[str, tuple[float, float], int]], category: Category, where: _Place) -> np.ndarray:
    landmarks, seen = np.zeros((category.landmarks, 3)), set()
    for part, (x, y), v in points:
        if part not in category.parts:
            where.fail(f'has a point "{part}" on "{category.name}", which has no such landmark', "Choose another name.")
        if part in seen:
            where.fail(f'has two points "{part}" on one "{category.name}"', "Take one away, or name it.")
        seen.add(part)
        landmarks[category.parts.index(part)] = x, y, v
    return landmarks
