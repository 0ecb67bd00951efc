"""A Label Studio project's JSON export, as it is after people have labelled drawn images that were uploaded."""

import json
import shutil
from pathlib import Path
from typing import Any

from deepmark.compute.local import Local
from deepmark.data.ingest.annotation import ITEM_NAME
from deepmark.images import open_image
from deepmark.labels.answers import region_of
from deepmark.labels.label_studio import write_tasks
from deepmark.labels.task import LabelTask
from deepmark.synthetic import draw_dataset
from deepmark.vocabulary import Vocabulary


def photo_name(number: int) -> str:
    """Two images of a product: A101_1.jpg, A101_2.jpg, A102_1.jpg …"""
    return f"A{101 + (number - 1) // 2}_{1 + (number - 1) % 2}.jpg"


def labelled_photos(folder: Path, vocabulary: Vocabulary, count: int) -> None:
    """Draw `count` images into folder/photos, and write folder/export.json with their labels."""
    raw, photos = folder / "drawn", folder / "photos"
    draw_dataset(raw, train=count, validation=0, seed=5, vocabulary=vocabulary, engine=Local(1))
    photos.mkdir()
    tasks = []
    for number in range(1, count + 1):
        photo = photos / photo_name(number)
        shutil.copyfile(raw / f"train/image/{number:06d}.jpg", photo)
        fields = json.loads((raw / f"train/annos/{number:06d}.json").read_bytes())
        labels = (region_of(name, fields[name], vocabulary) for name in fields if ITEM_NAME.fullmatch(name))
        height, width = open_image(photo).size
        tasks.append(
            LabelTask(
                split="train",
                image_id=number,
                file=photo.name,
                width=width,
                height=height,
                labels=tuple(labels),
                detections=(),
                reasons=(),
                sha256="",
                items={},
            )
        )
    write_tasks(folder, tasks, vocabulary)
    made = json.loads((folder / "tasks.json").read_text("utf-8"))
    exported = [_exported(task["predictions"][0]["result"], number) for number, task in enumerate(made, 1)]
    (folder / "export.json").write_text(json.dumps(exported), "utf-8")
    for left in ("tasks.json", "config.xml"):
        (folder / left).unlink()
    shutil.rmtree(raw)


def _exported(result: list[dict[str, Any]], number: int) -> dict[str, Any]:
    """A task in the fields of Label Studio 1.23's export."""
    when = "2026-01-30T10:00:00.123456Z"
    file = f"{number:08x}-{photo_name(number)}"
    annotation = {
        "id": number,
        "completed_by": 1,
        "result": [{**one, "origin": "manual"} for one in result],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": when,
        "updated_at": when,
        "draft_created_at": None,
        "lead_time": 12.5,
        "prediction": {},
        "result_count": len(result),
        "unique_id": f"00000000-0000-4000-8000-{number:012d}",
        "task": number,
        "project": 1,
    }
    return {
        "id": number,
        "annotations": [annotation],
        "file_upload": file,
        "drafts": [],
        "predictions": [],
        "data": {"image": f"/data/upload/1/{file}"},
        "meta": {},
        "created_at": when,
        "updated_at": when,
        "inner_id": number,
        "total_annotations": 1,
        "project": 1,
    }
