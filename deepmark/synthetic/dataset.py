"""Writes the files of a data set of drawn or rendered images."""

import hashlib
import json
import multiprocessing
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import write_raw_vocabulary
from deepmark.errors import DeepmarkError, as_path
from deepmark.files import new_file, require_space, write_text
from deepmark.schema import DRAWN_MARK, SPLITS, Statistics
from deepmark.shapes import UInt8
from deepmark.synthetic.from_outlines import check_drawings, draw_shapes
from deepmark.synthetic.scene import draw_image
from deepmark.vocabulary import DEEPFASHION2, Vocabulary, vocabulary_json

_CHUNK = 16
"""Images per task; small enough for a smooth progress bar."""

_QUALITY = 90

_BYTES = 36_000
"""A low estimate of what an image and its annotation take on disk."""

Drawn = tuple[UInt8[np.ndarray, "h w 3"], dict[str, Any]]
"""An image, RGB, and what its annotation file holds."""


def draw_dataset(
    out: str | PathLike[str],
    *,
    train: int,
    validation: int,
    seed: int,
    statistics: str = "even",
    vocabulary: Vocabulary = DEEPFASHION2,
    engine: Engine | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> dict[str, int]:
    """Draw a data set in the layout of DeepFashion2; returns the number of images of each split and of all garments.

    `progress(n)` is called when n more images are done. The bytes depend on the seed alone, not on the engine; image n
    of a split does not depend on how many are drawn. After an interruption, the same call draws everything again. With
    `statistics` "deepfashion2", images and training items are as those of DeepFashion2 (`synthetic.released`). The
    garments of another vocabulary are drawn from the drawings of its categories (`synthetic.from_outlines`).

    Raises DeepmarkError if `out` holds anything but an earlier draw with the same arguments, a number is negative,
    there are no such statistics, or a category has no drawing.
    """
    out = as_path(out, "draw_dataset: out")
    counts = checked_counts(train=train, validation=validation, seed=seed)
    if statistics not in tuple(Statistics):
        raise DeepmarkError(f"synth: statistics is {statistics!r}. Give one of {', '.join(Statistics)}.")
    chosen = Statistics(statistics)
    recipe: dict[str, str | int] = {"drawn_by": "deepmark synth", "seed": seed, **counts}
    if vocabulary != DEEPFASHION2:
        if chosen is not Statistics.EVEN:
            raise DeepmarkError(f"synth: the statistics {chosen} are of DeepFashion2's categories. Leave them out.")
        check_drawings(vocabulary)
        digest = hashlib.sha256(vocabulary_json(vocabulary).encode()).hexdigest()
        recipe |= {"vocabulary": vocabulary.name, "vocabulary_sha256": digest}
    if chosen is not Statistics.EVEN:
        recipe["statistics"] = chosen.value
    draw = partial(_draw, seed, chosen, vocabulary)
    return write_dataset(out, counts, recipe, draw, vocabulary=vocabulary, engine=engine, progress=progress)


def checked_counts(*, train: int, validation: int, seed: int) -> dict[str, int]:
    """The number of images of each split; raises DeepmarkError for a negative number."""
    counts = {"train": train, "validation": validation}
    for name, value in {**counts, "seed": seed}.items():
        if not isinstance(value, int) or value < 0:
            raise DeepmarkError(f"synth: {name} is {value!r}. Give a whole number, 0 or more.")
    return counts


def write_dataset(
    out: Path,
    counts: dict[str, int],
    recipe: dict[str, str | int],
    draw: Callable[[str, int], Drawn],
    *,
    vocabulary: Vocabulary,
    goes_on: bool = False,
    engine: Engine | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> dict[str, int]:
    """Write image `draw(split, index)` of every split and index; returns their numbers, and that of all garments.

    `draw` must be importable by its name, as partial functions of such ones are. If the writing `goes_on`, images that
    an earlier call with the same recipe has finished are not drawn again.

    Raises DeepmarkError if `out` holds anything but files of the same recipe.
    """
    claim(out, recipe)
    for split in SPLITS:
        for folder in ("image", "annos"):
            (out / split / folder).mkdir(parents=True, exist_ok=True)
        write_raw_vocabulary(out / split, vocabulary)
    chunks = [
        _Chunk(
            folder=out / split, goes_on=goes_on, draw=partial(draw, split), indices=range(start, min(start + _CHUNK, n))
        )
        for split, n in counts.items()
        for start in range(0, n, _CHUNK)
    ]
    garments = 0
    with closing((engine or Local()).map_in_order(_draw_chunk, chunks)) as done:
        for images, items in done:
            garments += items
            progress(images)
    return {**counts, "garments": garments}


def claim(out: Path, recipe: dict[str, str | int]) -> None:
    """Create the folder with its recipe, or check that it holds a draw with the same recipe."""
    mark, text = out / DRAWN_MARK, json.dumps(recipe, indent=2) + "\n"
    if out.exists() and not out.is_dir():
        raise DeepmarkError(f"{out}: is a file. Name a folder to draw into.")
    if mark.is_file():
        if (earlier := mark.read_text("utf-8")) != text:
            raise DeepmarkError(
                f"{out}: holds a drawn data set that differs in {_differences(earlier, recipe)} (see {mark}). Go on "
                "with the same options and versions, remove it, or name another folder."
            )
    elif out.is_dir() and (found := sorted(path.name for path in out.iterdir())):
        raise DeepmarkError(f"{out}: holds other data already ({found[0]}). Name a new or an empty folder.")
    for folder in (out / split / kind for split in SPLITS for kind in (".", "image", "annos")):
        if folder.is_symlink():
            raise DeepmarkError(f"{folder}: is a link, and what it leads to would be drawn over. Remove it.")
    if not mark.is_file():
        count = sum(value for name, value in recipe.items() if name in SPLITS and isinstance(value, int))
        require_space(out, count * _BYTES)
        write_text(mark, text)


def _differences(earlier: str, recipe: dict[str, str | int]) -> str:
    """The names of what is another in the recipe of an earlier draw."""
    try:
        there = dict(json.loads(earlier))
    except (ValueError, TypeError):
        return "its recipe, which is damaged"
    names = [name for name in {**there, **recipe} if there.get(name) != recipe.get(name)]
    return ", ".join(names) or "the form of its recipe"


def _draw(seed: int, statistics: Statistics, vocabulary: Vocabulary, split: str, index: int) -> Drawn:
    if vocabulary != DEEPFASHION2:
        return draw_shapes(vocabulary, seed=seed, split=split, index=index)
    drawn = draw_image(seed=seed, split=split, index=index, statistics=statistics)
    return drawn.image, drawn.annotation


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chunk:
    """A task: some images of a split."""

    folder: Path
    goes_on: bool
    draw: Callable[[int], Drawn]
    indices: range


def _draw_chunk(chunk: _Chunk) -> tuple[int, int]:
    """Draw one task; returns the number of images and of garments."""
    if multiprocessing.parent_process() is not None:
        cv2.setNumThreads(1)  # the other workers use the other cores
    garments = 0
    for index in chunk.indices:
        image_file = chunk.folder / "image" / f"{index + 1:06d}.jpg"
        annotation_file = chunk.folder / "annos" / f"{index + 1:06d}.json"
        annotation = _finished(image_file, annotation_file) if chunk.goes_on else None
        if annotation is None:
            image, annotation = chunk.draw(index)
            write = _write_whole if chunk.goes_on else _write  # what is there is finished, so it is whole
            write(image_file, simplejpeg.encode_jpeg(image, quality=_QUALITY, colorspace="RGB"))
            write(annotation_file, json.dumps(annotation).encode())
        garments += sum(key.startswith("item") for key in annotation)
    return len(chunk.indices), garments


def _finished(image_file: Path, annotation_file: Path) -> dict[str, Any] | None:
    """The annotation of an image that an earlier call has written; None where it is to be drawn."""
    if not (image_file.is_file() and annotation_file.is_file()):
        return None
    try:
        return dict(json.loads(annotation_file.read_text("utf-8")))
    except (ValueError, TypeError):
        return None


def _write(file: Path, content: bytes) -> None:
    """Write a file anew: what a link of this name leads to stays as it is."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def _write_whole(file: Path, content: bytes) -> None:
    """Write a file whole or not at all, also where the machine loses its power."""
    with new_file(file) as draft:
        draft.write_bytes(content)
