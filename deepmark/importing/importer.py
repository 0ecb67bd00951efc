"""Writes labelled images as raw data: every image of the source becomes one, or is set aside with a reason."""

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.compute.engine import Engine
from deepmark.data.coco.import_images import SourceImage, place_images
from deepmark.data.coco.importer import STANDINS
from deepmark.data.ingest.ingest import write_raw_vocabulary
from deepmark.data.ingest.strict_json import InvalidInputError
from deepmark.data.ingest.validate import jpeg_size
from deepmark.errors import DeepmarkError
from deepmark.files import new_folder
from deepmark.geometry import box_areas, clip_boxes
from deepmark.images import open_image
from deepmark.images.file_kinds import JPEG
from deepmark.importing.labelled import LabelledGarment, LabelledImage
from deepmark.importing.split import SPLITS, group_of, group_pattern, split_of
from deepmark.schema import SUBSETS, Frame
from deepmark.vocabulary import Vocabulary

_CHUNK = 32
"""Images per task of a worker."""

LISTS = "imported.csv", "set_aside.csv"
"""In each split's folder, where its images come from; and in the folder of the raw data, what was not taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitShares:
    """How images without a split of their own are divided."""

    validation: float = 0.15
    test: float = 0.0
    group_by: str | None = None
    """An expression; what its first group matches in the name is shared by images that must stay together."""

    def __post_init__(self) -> None:
        if not (0 < self.validation < 1 and 0 <= self.test < 1 and self.validation + self.test < 1):
            raise DeepmarkError(
                f"--validation {self.validation:g} --test {self.test:g}: give shares between 0 and 1 that leave some "
                "images to train on."
            )


@dataclass(frozen=True, slots=True)
class _Placed:
    image: LabelledImage
    number: int
    split: str


def import_images(
    labelled: Iterable[LabelledImage],
    raw: Path,
    vocabulary: Vocabulary,
    *,
    shares: SplitShares,
    engine: Engine,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Write raw/train, raw/validation and perhaps raw/test, whole or not at all, and the lists of what went where.

    Numbers are given in the order of the names. Returns counts: in_source = the images of all splits + set_aside.

    Raises DeepmarkError where one of the folders is there already, and where no image for training or validation is
    left.
    """
    for split in SPLITS:
        if (raw / split).exists():
            raise DeepmarkError(f"{raw / split}: is there already. Move it away, or import into a new workspace.")
    pattern, aside, notes = group_pattern(shares.group_by), [], Counter[str]()
    taken: list[_Placed] = []
    seen: set[str] = set()
    every = sorted(labelled, key=lambda one: one.name)
    for number, image in enumerate(every, 1):
        fault = image.fault or ("is in the source twice" if image.name in seen else _fault(image))
        seen.add(image.name)
        if fault:
            aside.append((image.name, fault))
            continue
        group = group_of(image.name, pattern)
        split = image.split or split_of(group, validation=shares.validation, test=shares.test)
        taken.append(_Placed(image, number, split))
    with ExitStack() as stack:
        drafts = {split: stack.enter_context(new_folder(raw / split)) for split in sorted({one.split for one in taken})}
        for draft in drafts.values():
            (draft / "image").mkdir()
            (draft / "annos").mkdir()
            write_raw_vocabulary(draft, vocabulary)
        items = 0
        written: dict[str, list[tuple[int, str]]] = {split: [] for split in drafts}
        for one, fault in _place_all(taken, drafts, engine, progress):
            if fault:
                aside.append((one.image.name, fault))
                continue
            text = json.dumps(_annotation(one))
            (drafts[one.split] / f"annos/{one.number:06d}.json").write_text(text, "utf-8")
            written[one.split].append((one.number, one.image.name))
            notes.update(one.image.notes)
            items += len(one.image.garments)
        for split, rows in written.items():
            _write_list(drafts[split] / LISTS[0], ("number", "image"), rows)
        empty = [split for split in ("train", "validation") if not written.get(split)]
        if empty:
            first = f" The first of those set aside: {aside[0][0]}: {aside[0][1]}." if aside else ""
            raise DeepmarkError(
                f"{len(every)} images in the source, {len(aside)} set aside, none is left for {' and '.join(empty)}."
                f"{first} Nothing was written."
            )
    _write_list(raw / LISTS[1], ("image", "reason"), sorted(aside))
    assert len(every) == len(aside) + sum(map(len, written.values()))
    return {
        "in_source": len(every),
        **{split: len(rows) for split, rows in written.items()},
        "set_aside": len(aside),
        "items": items,
        "notes": dict(sorted(notes.items())),
        **({"first_set_aside": ": ".join(min(aside))} if aside else {}),
        **({"in_no_group": sum(not pattern.search(one.image.name) for one in taken)} if pattern else {}),
        "folder": str(raw),
    }


def _fault(image: LabelledImage) -> str:
    if not image.garments:
        return "has no labelled garment"
    for garment in image.garments:
        if not np.isfinite(garment.box).all() or not np.isfinite(garment.landmarks).all():
            return "has a coordinate that is no number"
        box = garment.box[None] if image.size is None else clip_boxes(garment.box[None], image.size)
        if not box_areas(box)[0]:
            return f'has a box of "{garment.category.name}" that is empty, inverted or outside the image'
    return ""


def _place_all(
    taken: Sequence[_Placed], drafts: dict[str, Path], engine: Engine, progress: Callable[[int], None]
) -> Iterator[tuple[_Placed, str]]:
    """Each image with the reason why it could not be placed, or nothing."""
    chunks = [taken[start : start + _CHUNK] for start in range(0, len(taken), _CHUNK)]
    pieces = [
        [(one.image.file, one.number, one.image.size, drafts[one.split] / "image") for one in chunk] for chunk in chunks
    ]
    with closing(engine.map_in_order(_place, pieces)) as placed:
        for chunk, faults in zip(chunks, placed, strict=True):
            yield from zip(chunk, faults, strict=True)
            progress(len(chunk))


def _place(images: Sequence[tuple[Path, int, tuple[int, int] | None, Path]]) -> list[str]:
    faults = []
    for file, number, size, folder in images:
        try:
            image = open_image(file)
            if image.kind == JPEG:
                jpeg_size(file.read_bytes(), max_megapixels=math.inf)  # decodes it: ingest would set it aside
            wanted = size or image.size
            place_images([SourceImage(path=file, number=number, size=wanted)], folder, file, frame=Frame.UPRIGHT)
            faults.append("")
        except DeepmarkError as error:
            faults.append(str(error).removeprefix(f"{file}: "))
        except InvalidInputError as error:
            faults.append(error.reason)
        except OSError as error:
            faults.append(f"cannot be read: {error.strerror or error}")
    return faults


def _annotation(one: _Placed) -> dict[str, Any]:
    items = {f"item{place}": _item(garment) for place, garment in enumerate(one.image.garments, 1)}
    return {"source": STANDINS["source"], "pair_id": one.number, **items}


def _item(garment: LabelledGarment) -> dict[str, Any]:
    return {
        "category_id": garment.category.index + 1,
        "category_name": garment.category.name,
        "bounding_box": _plain(garment.box),
        "landmarks": _plain(garment.landmarks),
        "segmentation": [],
        **{name: STANDINS[name] for name in ("style", *SUBSETS)},
    }


def _plain(values: np.ndarray) -> list[float]:
    return [int(value) if value == int(value) else round(value, 4) for value in values.ravel().tolist()]


def _write_list(path: Path, names: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
