"""Writes labelled images as raw data: every image of the source becomes one, or is set aside with a reason."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count, groupby
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
from deepmark.importing.beside import check_addable, last_number, link_files
from deepmark.importing.earlier import Imported, earlier_import, imported, write_imported, write_set_aside
from deepmark.importing.labelled import LabelledGarment, LabelledImage, UnplacedLabel
from deepmark.importing.split import SPLITS, group_of, group_pattern, pair_of, split_of
from deepmark.schema import SUBSETS, Frame
from deepmark.vocabulary import Vocabulary

_CHUNK = 32
"""Images per task of a worker."""

_THERE = "is in the data already"


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitShares:
    """How images without a split of their own are divided."""

    validation: float = 0.15
    test: float = 0.0
    group_by: str | None = None
    """An expression; what its first group matches in the name is shared by images that must stay together."""

    def __post_init__(self) -> None:
        if not (0 <= self.validation < 1 and 0 <= self.test < 1 and self.validation + self.test < 1):
            raise DeepmarkError(
                f"--validation {self.validation:g} --test {self.test:g}: give shares between 0 and 1 that leave some "
                "images to train on."
            )


@dataclass(frozen=True, slots=True)
class _Placed:
    image: LabelledImage
    number: int
    split: str
    pair: int
    """What the images of a product share; the number of an image in no group."""

    def file(self, folder: Path, kind: str, suffix: str) -> Path:
        return folder / self.split / kind / f"{self.number:06d}{suffix}"


def import_images(
    labelled: Iterable[LabelledImage | UnplacedLabel],
    raw: Path,
    vocabulary: Vocabulary,
    *,
    set_aside: Path,
    shares: SplitShares,
    engine: Engine,
    replace: bool = False,
    add: bool = False,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Write raw/train, raw/validation and perhaps raw/test, whole or not at all; the file `set_aside` lists the rest.

    An image that was imported before keeps its number, which `replace` allows to do; new ones get numbers in the order
    of their names. With `add` the folder keeps what it holds, further images come beside it, and a group stays in the
    split that it has. Returns counts of this source: in_source = the images of all splits + set_aside.

    Raises DeepmarkError where the folder holds something already, and where no image for training or validation is
    left (with `add` none at all); then the list of those set aside is written all the same.
    """
    if add:
        check_addable(raw, vocabulary)
    pattern, earlier = group_pattern(shares.group_by), imported(raw) if add else earlier_import(raw, replace=replace)
    found = list(labelled)
    images = [one for one in found if isinstance(one, LabelledImage)]
    unplaced = [(one.name, one.reason) for one in found if isinstance(one, UnplacedLabel)]
    there = {row.image for row in earlier if add and row.split}
    chosen, aside = _chosen(images, there)
    taken = _numbered(chosen, earlier, shares, pattern, after=last_number(raw), keep_groups=add)
    write_set_aside(set_aside, aside + unplaced)
    _check_splits(taken, len(images), aside, set_aside, add=add)  # before anything is copied
    with new_folder(raw.resolve()) as draft:
        if add:
            link_files(raw, draft)
        written, failed = _write(taken, draft, vocabulary, engine, progress)
        if failed:
            aside += failed
            write_set_aside(set_aside, aside + unplaced)
            _check_splits(written, len(images), aside, set_aside, add=add)
        write_imported(draft, _list(written, draft, earlier, gone=not add))
    assert len(images) == len(aside) + len(written)
    splits = Counter(one.split for one in written)
    return {
        "in_source": len(images),
        **{split: splits[split] for split in SPLITS if splits[split]},
        "set_aside": len(aside),
        **({"labels_without_image": len(unplaced)} if unplaced else {}),
        "items": sum(len(one.image.garments) for one in written),
        "notes": dict(sorted(Counter(note for one in written for note in one.image.notes).items())),
        **({"first_set_aside": ": ".join(min(aside))} if aside else {}),
        **({"in_no_group": sum(not pattern.search(one.image.name) for one in taken)} if pattern else {}),
        **_of_before(aside, written, earlier, add=add),
        "folder": str(raw),
    }


def _check_splits(
    placed: Sequence[_Placed], count: int, aside: Sequence[tuple[str, str]], listed: Path, *, add: bool
) -> None:
    """Raises DeepmarkError where no image is left to train or to validate on, or, with `add`, none at all."""
    needed = set() if add and placed else {"train", "validation"}
    if empty := sorted(needed - {one.split for one in placed}):
        left = "to add" if add else f"for {' and '.join(empty)}"
        raise DeepmarkError(
            f"{count} images in the source, {len(aside)} set aside{f' ({listed} says why)' if aside else ''}, none is "
            f"left {left}. Give more images that can be used, or other shares. Nothing was imported."
        )


def _of_before(
    aside: Sequence[tuple[str, str]], written: Iterable[_Placed], earlier: Sequence[Imported], *, add: bool
) -> dict[str, int]:
    """How many of the images were imported before."""
    if add:
        return {"in_the_data": sum(reason == _THERE for _, reason in aside)}
    known = {row.image for row in earlier}
    return {"as_before": len({one.image.name for one in written} & known)} if earlier else {}


def _chosen(
    images: Sequence[LabelledImage], there: Container[str]
) -> tuple[list[LabelledImage], list[tuple[str, str]]]:
    """The images that can be used and are not `there` yet, by name, and the others with the reasons.

    Of several with one name, one that has all labels is taken; where their labels differ, none.
    """
    chosen, aside = [], []
    for name, same in groupby(sorted(images, key=lambda one: one.name), key=lambda one: one.name):
        usable = []
        for one in same:
            if fault := _THERE if name in there else one.fault or _fault(one):
                aside.append((name, fault))
            else:
                usable.append(one)
        differ = any(not _same_labels(usable[0], one) for one in usable)
        reason = "is in the source twice" + (", with different labels" if differ else "")
        aside += [(name, reason) for _ in usable[0 if differ else 1 :]]
        chosen += usable[: 0 if differ else 1]
    return chosen, aside


def _same_labels(one: LabelledImage, other: LabelledImage) -> bool:
    return len(one.garments) == len(other.garments) and all(
        a.category is b.category and np.array_equal(a.box, b.box) and np.array_equal(a.landmarks, b.landmarks)
        for a, b in zip(one.garments, other.garments, strict=True)
    )


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


def _numbered(
    images: Iterable[LabelledImage],
    earlier: Sequence[Imported],
    shares: SplitShares,
    pattern: re.Pattern[str] | None,
    *,
    after: int,
    keep_groups: bool,
) -> list[_Placed]:
    """The images with their splits and numbers: the known ones, then those above all that were ever given."""
    known, taken = {row.image: row.number for row in earlier}, list[_Placed]()
    free = count(max([after, *known.values()]) + 1)
    groups = {group_of(row.image, pattern): row.split for row in earlier if row.split and keep_groups}
    for image in images:
        group = group_of(image.name, pattern)
        split = image.split or groups.get(group) or split_of(group, validation=shares.validation, test=shares.test)
        number = known[image.name] if image.name in known else next(free)
        taken.append(_Placed(image, number, split, number if group == image.name else pair_of(group)))
    return taken


def _write(
    taken: Sequence[_Placed],
    folder: Path,
    vocabulary: Vocabulary,
    engine: Engine,
    progress: Callable[[int], None],
) -> tuple[list[_Placed], list[tuple[str, str]]]:
    """Write images and annotations; returns those that were written, and the names of the others with the reasons."""
    written, failed = [], []
    for split in {one.split for one in taken}:
        for kind in ("image", "annos"):
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
        write_raw_vocabulary(folder / split, vocabulary)
    for one, fault in _place_all(taken, folder, engine, progress):
        if fault:
            failed.append((one.image.name, fault))
        else:
            one.file(folder, "annos", ".json").write_text(json.dumps(_annotation(one)), "utf-8")
            written.append(one)
    return written, failed


def _list(written: Iterable[_Placed], folder: Path, earlier: Iterable[Imported], *, gone: bool) -> list[Imported]:
    """What was written, and what was there before and is `gone`, or is still there."""
    before = {row.image: replace(row, split="", annotation_sha256="") if gone else row for row in earlier}
    now = {
        one.image.name: Imported(
            number=one.number,
            image=one.image.name,
            split=one.split,
            annotation_sha256=hashlib.sha256(one.file(folder, "annos", ".json").read_bytes()).hexdigest(),
        )
        for one in written
    }
    return list((before | now).values())


def _place_all(
    taken: Sequence[_Placed], folder: Path, engine: Engine, progress: Callable[[int], None]
) -> Iterator[tuple[_Placed, str]]:
    """Each image with the reason why it could not be placed, or nothing."""
    chunks = [taken[start : start + _CHUNK] for start in range(0, len(taken), _CHUNK)]
    pieces = [
        [(one.image.file, one.number, one.image.size, folder / one.split / "image") for one in chunk]
        for chunk in chunks
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
    return {"source": STANDINS["source"], "pair_id": one.pair, **items}


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
