"""Detection in image files and folders of any kind, with JSON and drawn images as results (`deepmark detect`)."""

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from deepmark.draw import draw_detections
from deepmark.errors import DeepmarkError
from deepmark.files import new_file, write_text
from deepmark.images import open_image
from deepmark.infer.load_detector import load_detector
from deepmark.params import PredictParams
from deepmark.progress import progress

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""The files that are taken from a folder; a file that is named directly may have any suffix."""


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The named files, and the images in the named folders, sorted by name.

    Raises DeepmarkError for a path that does not exist and for a folder without images.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DeepmarkError(f"{path}: no such picture or folder.")
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise DeepmarkError(f"{path}: no pictures in it ({', '.join(sorted(SUFFIXES))}).")
        files += inside
    return files


def _drawing_names(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """Each path with a file name for its drawing; names differ also where two folders hold files of the same name."""
    taken: set[str] = set()
    for path in paths:
        numbered = (f"{path.stem}-{number}.jpg" for number in count(2))
        name = next(name for name in chain([f"{path.stem}.jpg"], numbered) if name not in taken)
        taken.add(name)
        yield path, name


def _save(image: UInt8[np.ndarray, "h w 3"], path: Path) -> None:
    with new_file(path) as draft:
        draft.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), 92))


def detect_files(
    paths: Iterable[Path],
    *,
    model: Path,
    strategy: str,
    min_score: float | None,
    draw: Path | None,
    json_file: Path | None,
    predict: PredictParams | None = None,
) -> int:
    """Detect in files and folders; draw, write or print the detections; returns how many images could not be read.

    `min_score` and `predict` are as in `load_detector`. An image that cannot be read is named on standard error, and
    the others go on. `json_file` "-" is standard output.
    """
    images = find_images(paths)
    detector = load_detector(model, strategy=strategy, min_score=min_score, predict=predict)
    results: dict[str, list[dict[str, Any]]] = {}
    failed = 0
    with progress("detect", len(images)) as advance:
        for path, name in _drawing_names(images):
            try:
                image = open_image(path)
                detections = detector(image)
            except DeepmarkError as error:
                print(f"deepmark detect: {error}", file=sys.stderr)
                failed += 1
            else:
                if image.note:
                    print(f"deepmark detect: {path}: {image.note}.", file=sys.stderr)
                results[str(path)] = detections.as_dicts()
                if draw is not None:
                    _save(draw_detections(image.pixels(), detections, min_score=0), draw / name)
            advance(1)
    if json_file is not None and str(json_file) != "-":
        write_text(json_file, json.dumps(results, indent=2) + "\n")
    elif json_file is not None:
        print(json.dumps(results, indent=2))
    else:
        for path_name, garments in results.items():
            line = ", ".join(f"{garment['category']} {garment['score']:.2f}" for garment in garments)
            print(f"{path_name}: {line or 'nothing found'}")
    return failed
