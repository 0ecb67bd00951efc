"""Pictures of any kind in, pictures with garments drawn and JSON out: what a person tries first."""

import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from deepmark.draw import draw_detections
from deepmark.errors import DeepmarkError
from deepmark.files import new_file, write_text
from deepmark.infer.predict import Predictor, best_device
from deepmark.model.detector import load_detector
from deepmark.params import PredictParams
from deepmark.progress import progress

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""What is taken from a folder; a file named itself may be called anything."""

MOST_PIXELS = 50_000_000
"""Larger pictures are refused by their header: a small file may unpack to gigabytes."""


def find_pictures(paths: Iterable[Path]) -> list[Path]:
    """The named files, and the pictures in the named folders, by name.

    Raises DeepmarkError for a path that does not exist and for a folder without pictures.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DeepmarkError(f"{path}: no such picture or folder.")
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise DeepmarkError(f"{path}: no pictures in it ({', '.join(sorted(SUFFIXES))}).")
        found += inside
    return found


def _opened(path: Path) -> Image.Image:
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):  # we refuse them earlier
        return Image.open(path)


def read_picture(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Any picture as RGB, turned the way its camera was held.

    Raises DeepmarkError where the file is no picture, is damaged, or has more than 50 million pixels.
    """
    try:
        with _opened(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DeepmarkError(f"{path}: {image.width} x {image.height} pixels are too many; shrink it first.")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DeepmarkError(f"{path}: not a picture that can be read ({error}).") from None


def _names(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """A file name of its own for each drawn picture, also where two folders hold the same name."""
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
    params: PredictParams,
    draw: Path | None,
    json_file: Path | None,
) -> int:
    """Detect in files and folders; draw, write or print what was found; returns how many could not be read.

    A picture that cannot be read is named on standard error, and the others go on. `json_file` "-" is standard output.
    """
    pictures = find_pictures(paths)
    predictor = Predictor(load_detector(model), strategy, params, best_device())
    found: dict[str, list[dict[str, Any]]] = {}
    failed = 0
    with progress("detect", len(pictures)) as advance:
        for path, name in _names(pictures):
            try:
                image = read_picture(path)
            except DeepmarkError as error:
                print(f"deepmark detect: {error}", file=sys.stderr)
                failed += 1
            else:
                (detections,), _ = predictor([image])
                found[str(path)] = detections.as_dicts()
                if draw is not None:
                    _save(draw_detections(image, detections, min_score=params.min_score), draw / name)
            advance(1)
    if json_file is not None and str(json_file) != "-":
        write_text(json_file, json.dumps(found, indent=2) + "\n")
    elif json_file is not None:
        print(json.dumps(found, indent=2))
    else:
        for path_name, rows in found.items():
            things = ", ".join(f"{row['category']} {row['score']:.2f}" for row in rows)
            print(f"{path_name}: {things or 'nothing found'}")
    return failed
