"""Label Studio's JSON export of a team's own images: rectangles for categories, key points for landmarks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from deepmark.errors import DeepmarkError
from deepmark.importing.labelled import LabelledGarment, LabelledImage
from deepmark.labels.label_studio import decisive, read_tasks, regions_of
from deepmark.vocabulary import Vocabulary

_KNOWN = {"rectanglelabels", "keypointlabels", "choices"}

FURTHER = "further annotation of a task left out (that marked as ground truth is taken, else the latest)"

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that was uploaded."""


def read_studio(file: Path, images: Path, vocabulary: Vocabulary) -> Iterator[LabelledImage]:
    """The images of the tasks, each with one annotation: that marked as ground truth, else the latest.

    Raises DeepmarkError where the file is no export of a project.
    """
    for place, task in enumerate(read_tasks(file)):
        name, path = f"task {place + 1}", images
        try:
            name, path = _file_of(task, images)
            annotations = [one for one in task.get("annotations", []) if not one.get("was_cancelled")]
            taken = decisive(annotations)
            if taken is None:
                yield LabelledImage(name=name, file=path, fault="nobody has labelled it")
                continue
            regions = list(regions_of(taken["result"], vocabulary, task, file, place))
            kinds = {str(one.get("type")) for one in taken["result"]} - _KNOWN
            size = _size(taken)
        except DeepmarkError as error:
            yield LabelledImage(name=name, file=path, fault=str(error).partition(": ")[2])
            continue
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            fault = f"is not as Label Studio writes it ({type(error).__name__}: {error})"
            yield LabelledImage(name=name, file=path, fault=fault)
            continue
        garments = tuple(
            LabelledGarment(category=one.category, box=one.box, landmarks=one.landmarks) for one in regions
        )
        notes = [f"{kind} left out" for kind in sorted(kinds)] + [FURTHER] * (len(annotations) - 1)
        yield LabelledImage(name=name, file=path, size=size, garments=garments, notes=tuple(notes))


def _size(annotation: dict[str, Any]) -> tuple[int, int] | None:
    for one in annotation["result"]:
        if "original_height" in one:
            return int(one["original_height"]), int(one["original_width"])
    return None


def _file_of(task: Any, images: Path) -> tuple[str, Path]:
    """The name of a task's image, and its file in the folder: below it as the address says, or by its last part."""
    data = task.get("data") if isinstance(task, dict) else None
    address = next((value for value in (data or {}).values() if isinstance(value, str) and "." in value), "")
    parts = urlsplit(address)
    path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0].lstrip("/")
    last = path.rpartition("/")[2]
    for name in (path, last, _UPLOADED.sub("", last)):
        if name and (images / name).is_file():
            return name, images / name
    return path, images / path
