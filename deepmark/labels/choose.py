"""Which images people are asked about, with their labels of today and what the model detects in them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from deepmark.audit.label_issue import read_issues
from deepmark.data.corrections import Correction, corrected, item_text, read_corrections
from deepmark.data.ingest.annotation import ITEM_NAME
from deepmark.data.predictions import read_predictions
from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.files import require_file
from deepmark.geometry import box_iou
from deepmark.labels.answers import region_of
from deepmark.labels.match import matched
from deepmark.labels.task import LabelTask, Region
from deepmark.schema import FOUND_SCORE, SHOWN_SCORE, SPLITS, STRATEGIES
from deepmark.types import Detections, ImageRecord
from deepmark.vocabulary import Vocabulary
from deepmark.workspace.layout import Workspace

Asked = dict[tuple[str, int], list[str]]
"""By split and image, why somebody is asked, in order of importance."""


def asked_by_audit(workspace: Workspace, limit: int) -> Asked:
    """The first images of the audit's list, but for items that somebody has decided about."""
    table = read_issues(require_file(workspace.issues_file, "deepmark audit"))
    decided = {(each.split, each.image_id, each.item) for each in read_corrections(workspace.corrections_file)}
    asked: Asked = {}
    for row in table.to_pylist():
        if row["other"] is not None or (row["split"], row["image_id"], row["item"] or "") in decided:
            continue  # nothing about a duplicate can be mended in a label
        key = (row["split"], row["image_id"])
        if key in asked or len(asked) < limit:
            item = f"{row['item']} ({row['category']}): " if row["item"] else ""
            asked.setdefault(key, []).append(f"{item}{row['kind']} ({row['score']:.2f}): {row['reason']}.")
    return asked


def asked_for_uncertainty(workspace: Workspace, limit: int) -> Asked:
    """The images in which the model is least certain: of validation, and of train where held-out folds were predicted.

    Ranked by the number of mistakes that scores let expect: the sum over detections of min(score, 1 - score).
    """
    files = _predictions_files(workspace)
    require_file(files["validation"], f"deepmark predict --strategy {STRATEGIES[-1]}")
    decided = {(each.split, each.image_id) for each in read_corrections(workspace.corrections_file)}
    mistakes = {}
    for split, file in files.items():
        for each in read_predictions(file)[0] if file.exists() else ():
            scores = each.detections.scores[each.detections.scores >= FOUND_SCORE].astype(np.float64)
            if (split, each.image_id) not in decided:
                mistakes[split, each.image_id] = float(np.minimum(scores, 1 - scores).sum())
    ranked = sorted(mistakes, key=lambda key: (-mistakes[key], key))[:limit]
    return {key: [f"The model expects {mistakes[key]:.1f} mistakes here."] for key in ranked}


def _predictions_files(workspace: Workspace) -> dict[str, Path]:
    """By split, the detections of networks that have not learnt its images."""
    files = {"validation": workspace.predictions_file(STRATEGIES[-1])}
    return files | ({"train": workspace.held_out_file} if workspace.params.audit.folds else {})


def make_tasks(workspace: Workspace, asked: Asked) -> list[LabelTask]:
    """The tasks for these images, in their order; detections are shown where a network predicted the image."""
    records = _records(workspace, asked)
    found: dict[tuple[str, int], Detections] = {}
    for split, file in _predictions_files(workspace).items():
        wanted = {image for of, image in asked if of == split}
        if wanted and file.exists():
            rows, _ = read_predictions(file)
            found |= {(split, each.image_id): each.detections for each in rows if each.image_id in wanted}
    corrections: dict[tuple[str, int], list[Correction]] = {}
    for each in read_corrections(workspace.corrections_file):
        corrections.setdefault((each.split, each.image_id), []).append(each)
    tasks = []
    for key, reasons in asked.items():
        record, vocabulary = records[key]
        tasks.append(_task(workspace, key, record, vocabulary, corrections.get(key, []), found.get(key), reasons))
    return tasks


def _records(workspace: Workspace, asked: Asked) -> dict[tuple[str, int], tuple[ImageRecord, Vocabulary]]:
    found: dict[tuple[str, int], tuple[ImageRecord, Vocabulary]] = {}
    for split in SPLITS:
        wanted = {image for of, image in asked if of == split}
        if wanted:
            rows = read_records(require_file(workspace.records_file(split), f"deepmark ingest --split {split}"))
            found |= {(split, row.id): (row, rows.vocabulary) for row in rows if row.id in wanted}
    if missing := asked.keys() - found.keys():
        split, image = min(missing)
        raise DeepmarkError(
            f"{workspace.records_file(split)}: has no image {image}, which the audit or the predictions name. Run "
            "`dvc repro`."
        )
    return found


def _task(
    workspace: Workspace,
    key: tuple[str, int],
    record: ImageRecord,
    vocabulary: Vocabulary,
    corrections: Sequence[Correction],
    detections: Detections | None,
    reasons: Iterable[str],
) -> LabelTask:
    raw = raw_items(workspace, *key)
    today = corrected(raw, corrections, f"image {record.id} of {key[0]}")
    labels = tuple(region_of(name, item, vocabulary) for name, item in today.items())
    return LabelTask(
        split=key[0],
        image_id=record.id,
        file=f"{key[0]}/{record.file}",
        width=record.width,
        height=record.height,
        sha256=record.sha256,
        labels=labels,
        detections=() if detections is None else detected_regions(detections, labels),
        reasons=tuple(reasons),
        items={name: item_text(item) for name, item in raw.items()},
    )


def raw_items(workspace: Workspace, split: str, image_id: int) -> dict[str, dict]:
    """The items of an annotation file as they are, by their keys; raises DeepmarkError where it is missing."""
    file = workspace.raw / split / "annos" / f"{image_id:06d}.json"
    try:
        fields = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise DeepmarkError(f"{file}: cannot be read ({error}). Put it back, or run `deepmark ingest` again.") from None
    return {name: item for name, item in fields.items() if ITEM_NAME.fullmatch(name)}


def detected_regions(detections: Detections, labels: Sequence[Region] = ()) -> tuple[Region, ...]:
    """What the model detects, under the key of the item that it is the best match of."""
    shown = detections[detections.scores >= SHOWN_SCORE]
    boxes = np.array([label.box for label in labels]).reshape(-1, 4)
    pairs = matched(box_iou(shown.boxes.astype(np.float64), boxes))
    regions = []
    for number in range(len(shown)):
        category = shown.vocabulary.categories[int(shown.categories[number])]
        points = shown.landmarks[number, : category.landmarks].astype(np.float64)
        seen = np.where(shown.landmark_scores[number, : category.landmarks, None] > 0, 2.0, 0.0)
        regions.append(
            Region(
                name=labels[pairs[number]].name if number in pairs else f"model{number + 1}",
                category=category,
                box=shown.boxes[number].astype(np.float64),
                landmarks=np.concatenate([points, seen], axis=1),
                score=float(shown.scores[number]),
            )
        )
    return tuple(regions)
