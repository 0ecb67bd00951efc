"""Writes shards to other storage: one request for each tar, its facts beside it, and the index last.

A tar appears under its final name when it is complete. Its facts, what the index will say of it, follow; so a killed
upload goes on where it was. Facts count for one plan only, that is for the same records, seed and size of a shard.
Before anything of another plan is replaced its index is deleted, so that no index ever names tars of two plans.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from deepmark.data.shards.index import INDEX_FILE, OLD_INDEX_FILE, Shard, ShardIndex, index_bytes, parse_index
from deepmark.data.shards.remote import MissingFileError, RemoteFolder
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256

Fill = Callable[[Callable[[bytes], object]], Shard]
"""Writes a shard by calling what it is given with one part after the other, and returns its facts."""

PLAN_FILE = ".plan"
"""Holds the digest of the plan whose shards are in the folder, or come into it."""

_OURS = re.compile(r"[A-Za-z0-9_]+-[0-9]{6,}\.tar|\.[A-Za-z0-9_]+-[0-9]{6,}\.tar\.json", re.ASCII)


def plan_digest(records_file: Path, *, split: str, seed: int, target_mib: float) -> str:
    """What decides every byte of the shards, as 64 hexadecimal digits."""
    decides = ["deepmark shards, version 1", file_sha256(records_file), split, seed, target_mib]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def _facts_file(file: str) -> str:
    return f".{file}.json"  # begins with a dot for the same reason as the index


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A folder on other storage, and the plan of the shards that are written to it.

    Every method raises DeepmarkError where the storage fails, as `RemoteFolder`.
    """

    folder: RemoteFolder
    plan: str
    """Its digest."""

    def begin(self) -> None:
        """Delete the index of another plan; tars of the same plan stay."""
        if self._read(PLAN_FILE) == self.plan.encode():
            return
        for index in (INDEX_FILE, OLD_INDEX_FILE):
            self.folder.delete(index)
        self.folder.write(PLAN_FILE, self.plan.encode())

    def put(self, file: str, fill: Fill) -> Shard:
        """The facts of a shard, which `fill` writes if it is not there already; it is in memory until it is sent."""
        facts = self._read(_facts_file(file))
        known = self._parse(file, facts)
        if known is not None and self._is_there(known):
            return known
        if facts is not None:
            self.folder.delete(_facts_file(file))  # first: they are not of the tar that comes
        tar = BytesIO()
        shard = fill(tar.write)
        self.folder.write(file, tar.getvalue())
        alone = ShardIndex(split="", seed=0, target_mib=0, shards=(shard,))
        self.folder.write(_facts_file(file), f"{self.plan}\n".encode() + index_bytes(alone))
        return shard

    def finish(self, index: ShardIndex) -> None:
        """Delete the tars of other plans, then write the index."""
        kept = {name for shard in index.shards for name in (shard.file, _facts_file(shard.file))}
        for name in sorted(self.folder.sizes().keys() - kept):
            if _OURS.fullmatch(name):
                self.folder.delete(name)
        self.folder.write(INDEX_FILE, index_bytes(index))

    def _read(self, file: str) -> bytes | None:
        try:
            return self.folder.read(file)
        except MissingFileError:
            return None

    def _parse(self, file: str, facts: bytes | None) -> Shard | None:
        plan, _, index = (facts or b"").partition(b"\n")
        if plan != self.plan.encode():
            return None
        try:
            (shard,) = parse_index(index, file).shards
        except (DeepmarkError, ValueError):  # damaged: the shard is written again
            return None
        return shard if shard.file == file else None

    def _is_there(self, shard: Shard) -> bool:
        try:
            return self.folder.size(shard.file) in (None, shard.bytes)
        except MissingFileError:
            return False
