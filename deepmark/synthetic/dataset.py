"""The files of a drawn data set."""

import json
import multiprocessing
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import simplejpeg

from deepmark.data.parallel import map_in_order, worker_count
from deepmark.errors import DeepmarkError
from deepmark.schema import SPLITS
from deepmark.synthetic.scene import draw_picture

RECIPE = "synthetic.json"
"""The file beside train/ and validation/ that says what was drawn; a folder that has it may be drawn over."""

_CHUNK = 16
"""Pictures a task; small enough for a smooth progress bar."""

_QUALITY = 90


def draw_dataset(
    out: Path,
    *,
    train: int,
    validation: int,
    seed: int,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> dict[str, int]:
    """Draw a data set in DeepFashion2's own layout; returns how many pictures each split has, and all their garments.

    `progress(n)` hears that n more pictures are done. The bytes depend on the seed alone, not on `workers`; picture n
    of a split does not depend on how many are drawn. A draw that was interrupted is repeated over what it left.

    Raises DeepmarkError where `out` holds anything but an earlier draw of the same numbers, or a number is negative.
    """
    counts = {"train": train, "validation": validation}
    for name, value in {**counts, "seed": seed}.items():
        if value < 0:
            raise DeepmarkError(f"synth: {name} is {value}. Give 0 or more.")
    _claim(out, {"drawn_by": "deepmark synth", "seed": seed, **counts})
    for split in SPLITS:
        for folder in ("image", "annos"):
            (out / split / folder).mkdir(parents=True, exist_ok=True)
    chunks = [
        (out, split, seed, range(start, min(start + _CHUNK, counts[split])))
        for split in SPLITS
        for start in range(0, counts[split], _CHUNK)
    ]
    garments = 0
    with closing(map_in_order(_draw_chunk, chunks, workers=worker_count(workers, len(chunks)))) as done:
        for pictures, items in done:
            garments += items
            progress(pictures)
    return {**counts, "garments": garments}


def _claim(out: Path, recipe: dict[str, str | int]) -> None:
    """Make the folder ours, or refuse it."""
    mark, text = out / RECIPE, json.dumps(recipe, indent=2) + "\n"
    if out.exists() and not out.is_dir():
        raise DeepmarkError(f"{out}: is a file. Name a folder to draw into.")
    if mark.is_file():
        if mark.read_text("utf-8") != text:
            raise DeepmarkError(
                f"{out}: holds a drawn data set of other numbers (see {mark}). Remove it, or name another folder."
            )
    elif out.is_dir() and (found := sorted(path.name for path in out.iterdir())):
        raise DeepmarkError(f"{out}: holds other data already ({found[0]}). Name a new or an empty folder.")
    out.mkdir(parents=True, exist_ok=True)
    mark.write_text(text, "utf-8")


_Chunk = tuple[Path, str, int, range]


def _draw_chunk(chunk: _Chunk) -> tuple[int, int]:
    """Pictures and garments that were drawn."""
    out, split, seed, indices = chunk
    if multiprocessing.parent_process() is not None:
        cv2.setNumThreads(1)  # the cores are taken by the other workers
    garments = 0
    for index in indices:
        picture = draw_picture(seed=seed, split=split, index=index)
        name = f"{index + 1:06d}"
        jpeg = simplejpeg.encode_jpeg(picture.image, quality=_QUALITY, colorspace="RGB")
        (out / split / "image" / f"{name}.jpg").write_bytes(jpeg)
        (out / split / "annos" / f"{name}.json").write_text(json.dumps(picture.annotation), "utf-8")
        garments += sum(key.startswith("item") for key in picture.annotation)
    return len(indices), garments
