"""Checks of what a command is to write, before its work begins: it can be written, and replaces nothing of a person.

An output is compared with the inputs as the file system sees them, so another spelling, a link, or a hard link is the
same file. A file of the same name is replaced only where it holds what the command writes.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from deepmark.digests import is_intact
from deepmark.errors import DeepmarkError
from deepmark.schema import COCO_START


class Format(NamedTuple):
    """What a command writes into a file."""

    name: str
    is_like: Callable[[bytes], bool]
    """Whether the first bytes of a file are those of such a file."""


def begins(name: str, pattern: bytes) -> Format:
    """What is known by a pattern of its beginning."""
    return Format(name, lambda start: re.match(pattern, start) is not None)


COCO_DATA = begins("a COCO data set of DeepMark", COCO_START)
COCO_RESULTS = begins("COCO results", rb'\s*\[\s*(\]\s*$|\{\s*"image_id":)')
SCORES = begins("scores of `deepmark score`", rb'\s*\{\s*"kind":\s*"\w+",\s*"visible_only":')
REGISTERED = begins("facts of `deepmark register`", rb'\s*\{\s*"version":\s*\d+,\s*"known":')
PROMOTED = begins("facts of `deepmark promote`", rb'\s*\{\s*"champion":\s*(null|\d+),\s*"before":')
MEASURED = begins("measurements of `deepmark measure`", rb'\s*\{\s*(\}\s*$|"([^"\\]|\\.)*":\s*\{\s*"scale":)')
CSV = Format("figures of `deepmark compare`", lambda start: start.startswith(b"metric,scope,a,b,"))
IMPORTED = Format("an imported model", lambda start: start[8:9] == b"{" and b"source_sha256" in start)
DATA_SHEET = Format("a data sheet", lambda start: b"<title>Data sheet: " in start)
SHAPES = Format("shapes that `deepmark vocabulary draw` drew", lambda start: SHAPES_MARK.encode() in start)
VOCABULARY = Format("a vocabulary that from-coco made", lambda start: b"deepmark vocabulary from-coco" in start)

SHAPES_MARK = "deepmark vocabulary draw"
"""In the page as its generator, in the PNG as its software."""

_START = 2**16
"""Bytes by which a file is known."""


def check_new_file(path: Path, option: str, holds: Format, *, inputs: Iterable[Path] = ()) -> None:
    """Raise DeepmarkError where the file cannot be written, is an input, or holds something else already."""
    if path.is_dir():
        raise DeepmarkError(f"{option} {path}: is a folder. Name a file.")
    if path.exists() and not path.is_file():
        raise DeepmarkError(f"{option} {path}: is a device, not a file. Name a file; --json prints to standard output.")
    if path.resolve() in {one.resolve() for one in inputs} or identity(path) in identities(inputs):
        raise DeepmarkError(f"{option} {path}: is also an input, and would be replaced. Name another file.")
    _check_workspace(path, option)
    if path.exists():
        with path.open("rb") as file:
            start = file.read(_START)
        if start and not holds.is_like(start):
            raise DeepmarkError(
                f"{option} {path}: a file of this name holds something else than {holds.name}, and would be replaced. "
                "Name another file."
            )
    _check_place(path, option, path.absolute().parent)


def check_absent(path: Path, option: str, suffix: str) -> None:
    """Raise DeepmarkError where a new file cannot be written, is there already, or has not this ending."""
    if path.suffix != suffix:
        raise DeepmarkError(f"{option} {path}: what is written is known by its ending. Name a file {suffix}.")
    if os.path.lexists(path):
        raise DeepmarkError(f"{option} {path}: is there already, and nothing is replaced. Name another file.")
    _check_workspace(path, option)
    _check_place(path, option, path.absolute().parent)


def check_unedited(path: Path, option: str) -> None:
    """Raise DeepmarkError where somebody has changed a file since a command wrote it with a digest."""
    if path.exists() and path.stat().st_size and not is_intact(path):
        raise DeepmarkError(
            f"{option} {path}: has been edited since it was made, and would be replaced. Name another file."
        )


def check_folder(path: Path, option: str, *, check: Callable[[], None] = lambda: None) -> None:
    """Raise DeepmarkError where a folder cannot be made or filled, or `check` finds something wrong in it."""
    if path.exists() and not path.is_dir():
        raise DeepmarkError(f"{option} {path}: is a file. Name a folder.")
    _check_workspace(path, option)
    check()
    _check_place(path, option, path.absolute())


def identity(path: Path) -> tuple[int, int] | None:
    """What names a file or folder on this machine, whatever leads to it; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def identities(paths: Iterable[Path]) -> set[tuple[int, int]]:
    return {found for path in paths if (found := identity(path)) is not None}


def _check_workspace(path: Path, option: str) -> None:
    from deepmark.workspace.layout import enclosing_workspace

    workspace = enclosing_workspace(path)
    for folder in workspace.stage_folders if workspace else ():
        if path.resolve().is_relative_to(folder.resolve()):
            raise DeepmarkError(f"{option} {path}: lies in {folder}, which a stage writes. Name another place.")


def _check_place(path: Path, option: str, folder: Path) -> None:
    """Raise DeepmarkError where nothing can be written into the folder, which may have to be made."""
    folder = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if not folder.is_dir():
        raise DeepmarkError(f"{option} {path}: {folder} is not a folder. Name another place.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DeepmarkError(
            f"{option} {path}: {folder} cannot be written ({error.strerror}). Name another place."
        ) from None
