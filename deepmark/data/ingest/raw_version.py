"""Whether raw files have changed, told from names, sizes and times alone: seconds for DeepFashion2, no byte is read."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepmark.errors import DeepmarkError


@dataclass(frozen=True, kw_only=True, slots=True)
class RawVersion:
    """The raw files as they lie there now."""

    digest: str
    """Of every file's path, size and time of its last change; hexadecimal, 32 digits."""

    files: int
    bytes: int


def read_raw_version(folder: Path) -> RawVersion:
    """The version of all files below `folder`, followed through links; names that begin with a dot do not count.

    The same files have the same version in whatever order the file system lists them. A file that was written again
    with the same bytes is a change here; what is made of it, DVC decides by its content.

    Raises DeepmarkError where the folder is missing or cannot be read.
    """
    if not folder.is_dir():
        raise DeepmarkError(f"{folder}: no such folder. docs/data.md says how to get DeepFashion2.")
    digest, files, size = hashlib.sha256(), 0, 0
    try:
        for path, status in _files(str(folder), "", frozenset()):
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(errors="surrogateescape"))
            files += 1
            size += status.st_size
    except OSError as error:
        raise DeepmarkError(f"{error.filename}: cannot be read: {error.strerror}. Mend it, or remove it.") from None
    return RawVersion(digest=digest.hexdigest()[:32], files=files, bytes=size)


def _files(folder: str, below: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, os.stat_result]]:
    """Relative path and status of every file, sorted by name within each folder."""
    here = os.stat(folder)  # noqa: PTH116 - a Path for each of 400,000 files would double the time
    if (here.st_dev, here.st_ino) in above:
        return  # a link back to where we came from
    with os.scandir(folder) as listing:
        entries = sorted((entry for entry in listing if entry.name[0] != "."), key=lambda entry: entry.name)
    for entry in entries:
        path = f"{below}{entry.name}"
        if entry.is_dir():
            yield from _files(entry.path, f"{path}/", above | {(here.st_dev, here.st_ino)})
            continue
        try:
            yield path, entry.stat()
        except FileNotFoundError:  # removed since it was listed, or a link to nothing
            yield path, os.stat_result((0,) * 10)
