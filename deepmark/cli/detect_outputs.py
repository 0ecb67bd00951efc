"""Checks of what `deepmark detect` is to write, before the first image: no input and no person's file is replaced."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from deepmark.cli.outputs import begins, check_folder, check_new_file, identities, identity
from deepmark.errors import DeepmarkError
from deepmark.files import require_space
from deepmark.infer.detect_files import Results
from deepmark.infer.detection_files import FileFormat, check_can_be_written, format_of
from deepmark.infer.find_images import SUFFIXES, Source
from deepmark.infer.image_files import crops_in, is_own_image, stems_of
from deepmark.vocabulary import Vocabulary


def checked_results(
    sources: Sequence[Source],
    model: Path,
    vocabulary: Vocabulary,
    *,
    out: Path | None,
    draw: Path | None,
    crops: Path | None,
    as_json: bool,
) -> Results:
    """What is to be made of the detections; raises DeepmarkError where it would do harm, or cannot be."""
    files, stems = [source for source in sources if isinstance(source, Path)], stems_of(sources)
    drawings = [draw / f"{stem}.jpg" for stem in stems.values()] if draw else []
    if draw is not None:
        check_drawings(draw, files, drawings)
    if crops is not None:
        check_crops(crops, files, stems.values(), draw, vocabulary)
    written = check_file(out, [*files, *drawings, model]) if out is not None else None
    return Results(file=out, format=written, drawings=draw, crops=crops, stems=stems, as_json=as_json)


def check_file(out: Path, inputs: Sequence[Path]) -> FileFormat:
    """The format of a file of detections; raises DeepmarkError where it cannot be written, or replaces something."""
    known = format_of(out)
    content, start = (known.holds, known.start) if known else ("anything", b"")  # its ending is refused below
    check_new_file(out, "--out", begins(content, start), inputs=inputs)
    return check_can_be_written(out, "--out")


def check_drawings(folder: Path, images: Sequence[Path], drawings: Collection[Path]) -> None:
    """Raise DeepmarkError where the folder cannot take the drawings without harm to a person's file."""
    _check_images(folder, "--draw", "drawing", images, drawings)


def check_crops(
    folder: Path, images: Sequence[Path], stems: Collection[str], draw: Path | None, vocabulary: Vocabulary
) -> None:
    """Raise DeepmarkError where the folder cannot take crops of images of these names, or is that of the drawings."""
    if draw is not None and folder.resolve() == draw.resolve():
        raise DeepmarkError(f"--crops {folder}: is also the folder of --draw. Name another folder.")
    crops = [file for stem in stems for file in crops_in(folder, stem, vocabulary)]
    _check_images(folder, "--crops", "crop", images, crops)


def _check_images(folder: Path, option: str, kind: str, images: Sequence[Path], files: Collection[Path]) -> None:
    if folder.suffix.lower() in SUFFIXES and not folder.exists():
        raise DeepmarkError(
            f"{option} {folder}: the name of an image. Name a folder for the {kind}s, such as {kind}s/."
        )
    check_folder(folder, option, check=lambda: _check_each(folder, option, kind, images, files))
    jpegs = (image for image in images if image.suffix.lower() in (".jpg", ".jpeg"))
    require_space(folder, sum(image.stat().st_size for image in jpegs) / 4)


def _check_each(folder: Path, option: str, kind: str, images: Sequence[Path], files: Collection[Path]) -> None:
    if identity(folder) in identities({image.parent for image in images}):
        raise DeepmarkError(f"{option} {folder}: holds images to detect in. Name another folder for the {kind}s.")
    inputs = identities(images)
    for file in files:
        if identity(file) in inputs:
            raise DeepmarkError(f"{option} {folder}: {file} is also an input. Name another folder.")
        if os.path.lexists(file) and not is_own_image(file):
            raise DeepmarkError(
                f"{option} {folder}: {file} is there, and is no {kind} of `deepmark detect`. Name another folder."
            )
