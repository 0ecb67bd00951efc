"""Detects changes of the raw files by names, sizes and times alone: seconds for DeepFashion2, no file is opened."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepmark.errors import DeepmarkError

WHENCE = "`deepmark import` brings labels of your own (docs/own_data.md); docs/data.md says how to get DeepFashion2."
"""Advice where raw files are missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawVersion:
    """A fingerprint of the raw files at one moment."""

    digest: str
    """Digest of every file's path, size and modification time; hexadecimal, 32 digits."""

    files: int
    bytes: int


def read_raw_version(folder: Path) -> RawVersion:
    """The version of all files below `folder`. Links are followed; names that begin with a dot are ignored.

    The version does not depend on the order in which the file system lists the files. A file rewritten with the same
    bytes counts as a change here, but DVC, which compares contents, will not run a stage for it.

    Raises DeepmarkError where the folder is missing or cannot be read.
    """
    if not folder.is_dir():
        raise DeepmarkError(f"{folder}: no such folder. {WHENCE}")
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
        return  # a link back to a folder that contains it
    with os.scandir(folder) as listing:
        entries = sorted((entry for entry in listing if entry.name[0] != "."), key=lambda entry: entry.name)
    for entry in entries:
        path = f"{below}{entry.name}"
        if entry.is_dir():
            yield from _files(entry.path, f"{path}/", above | {(here.st_dev, here.st_ino)})
            continue
        try:
            yield path, entry.stat()
        except FileNotFoundError:  # removed since it was listed, or a broken link
            yield path, os.stat_result((0,) * 10)
