"""Remembers which shards were found intact, so that they are not read again from end to end at every start.

A shard counts as unchanged while its path names the same file (inode) of the same size, with the same times of its last
change. Nothing notices bytes that change without these, as on a failing disk, or where somebody flips a byte and sets
the times back; every sample is compared with its own checksum all the same when it is read.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepmark.digests import read_json_with_digest, write_json_with_digest
from deepmark.errors import DeepmarkError

_FORMAT = "verified shards, version 1"


@dataclass(frozen=True, kw_only=True)
class VerifiedShards:
    """The shards that were found intact, by path: their sha256, and what the file was then."""

    files: dict[str, list[Any]] = field(default_factory=dict)

    def knows(self, path: str, status: os.stat_result, sha256: str) -> bool:
        """Whether this file had this sha256 when it was last read, and has not changed since."""
        return self.files.get(str(Path(path).absolute())) == _state(status, sha256)

    def add(self, path: str, status: os.stat_result, sha256: str) -> None:
        """Remember a file that has this sha256; `status` is of the time before it was read."""
        self.files[str(Path(path).absolute())] = _state(status, sha256)


def _state(status: os.stat_result, sha256: str) -> list[Any]:
    return [status.st_size, status.st_mtime_ns, status.st_ino, sha256]


def read_verified(path: Path) -> VerifiedShards:
    """What the file remembers; nothing where it is missing, damaged, or somebody else's."""
    with suppress(DeepmarkError, OSError):
        content: Mapping[str, Any] = read_json_with_digest(path, "deepmark train")
        files = content.get("files")
        if content.get("format") == _FORMAT and isinstance(files, dict):
            return VerifiedShards(files=files)
    return VerifiedShards()


def write_verified(path: Path, verified: VerifiedShards) -> None:
    """Write the file anew, without shards that are not there any more; a folder that cannot be written is left."""
    kept = {name: state for name, state in sorted(verified.files.items()) if Path(name).exists()}
    with suppress(OSError):
        write_json_with_digest(path, {"format": _FORMAT, "files": kept})
