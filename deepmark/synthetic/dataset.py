"""Writes the files of a drawn data set."""

import hashlib
import json
import multiprocessing
from collections.abc import Callable
from contextlib import closing
from os import PathLike
from pathlib import Path

import cv2
import simplejpeg

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import write_raw_vocabulary
from deepmark.errors import DeepmarkError, as_path
from deepmark.files import require_space, write_text
from deepmark.schema import DRAWN_MARK, SPLITS, Statistics
from deepmark.synthetic.from_outlines import check_drawings, draw_shapes
from deepmark.synthetic.scene import draw_image
from deepmark.vocabulary import DEEPFASHION2, Vocabulary, vocabulary_json

_CHUNK = 16
"""Images per task; small enough for a smooth progress bar."""

_QUALITY = 90

_BYTES = 36_000
"""A low estimate of what an image and its annotation take on disk."""


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
    counts = {"train": train, "validation": validation}
    for name, value in {**counts, "seed": seed}.items():
        if not isinstance(value, int) or value < 0:
            raise DeepmarkError(f"synth: {name} is {value!r}. Give a whole number, 0 or more.")
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
    claim(out, recipe | ({} if chosen is Statistics.EVEN else {"statistics": chosen.value}))
    for split in SPLITS:
        for folder in ("image", "annos"):
            (out / split / folder).mkdir(parents=True, exist_ok=True)
        write_raw_vocabulary(out / split, vocabulary)
    chunks = [
        (out, split, seed, chosen, vocabulary, range(start, min(start + _CHUNK, counts[split])))
        for split in SPLITS
        for start in range(0, counts[split], _CHUNK)
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
        if mark.read_text("utf-8") != text:
            raise DeepmarkError(
                f"{out}: holds a drawn data set of other numbers (see {mark}). Remove it, or name another folder."
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


_Chunk = tuple[Path, str, int, Statistics, Vocabulary, range]


def _draw_chunk(chunk: _Chunk) -> tuple[int, int]:
    """Draw one task; returns the number of images and of garments."""
    out, split, seed, statistics, vocabulary, indices = chunk
    if multiprocessing.parent_process() is not None:
        cv2.setNumThreads(1)  # the other workers use the other cores
    garments = 0
    for index in indices:
        if vocabulary == DEEPFASHION2:
            drawn = draw_image(seed=seed, split=split, index=index, statistics=statistics)
            image, annotation = drawn.image, drawn.annotation
        else:
            image, annotation = draw_shapes(vocabulary, seed=seed, split=split, index=index)
        name = f"{index + 1:06d}"
        jpeg = simplejpeg.encode_jpeg(image, quality=_QUALITY, colorspace="RGB")
        _write(out / split / "image" / f"{name}.jpg", jpeg)
        _write(out / split / "annos" / f"{name}.json", json.dumps(annotation).encode())
        garments += sum(key.startswith("item") for key in annotation)
    return len(indices), garments


def _write(file: Path, content: bytes) -> None:
    """Write a file anew: what a link of this name leads to stays as it is."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)
