"""A cache on this machine for shards that lie on other storage, limited in size; a shard's name is its sha256.

Processes and threads may share the folder. A lock file per shard makes others wait while one of them fetches the
shard; one more lock file makes sure that only one of them deletes shards at a time. An open shard is never deleted; of
the others, the least recently used go first. The operating system releases the locks of a process that is killed.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from deepmark.errors import DeepmarkError
from deepmark.files import UNFINISHED


@dataclass(frozen=True, kw_only=True)
class ShardCache:
    """A folder of shards and the largest number of bytes that it may hold."""

    folder: Path
    limit: int

    def find(self, sha256: str, size: int) -> int | None:
        """A descriptor of the shard, which the caller closes; None if the shard is not in the cache."""
        path = self._path(sha256)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # marks it as in use until it is closed
        if os.fstat(descriptor).st_size != size:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):  # deleted just now, or the folder is read-only
            os.utime(path)
        return descriptor

    def fetch(self, sha256: str, size: int, blocks: Iterable[bytes], *, name: str) -> int:
        """A descriptor of the shard, which is written from `blocks` if it is not in the cache yet.

        Raises DeepmarkError, which calls the shard `name`, if the sha256 of the blocks differs or there is no room.
        """
        self._make_folder()
        with FileLock(self.folder / f"{sha256}.lock"):
            cached = self.find(sha256, size)
            if cached is not None:
                return cached
            draft = self._path(sha256).with_suffix(UNFINISHED)
            try:
                self._reserve(draft, size, name)
                self._fill(draft, sha256, blocks, name)
                descriptor = os.open(draft, os.O_RDONLY)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                draft.replace(self._path(sha256))
            finally:
                draft.unlink(missing_ok=True)
            return descriptor

    def _path(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.tar"

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from None

    def _fill(self, draft: Path, sha256: str, blocks: Iterable[bytes], name: str) -> None:
        digest = hashlib.sha256()
        with draft.open("r+b") as file:
            for block in blocks:
                digest.update(block)
                try:
                    file.write(block)
                except OSError as error:
                    raise self._unusable(error) from None
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != sha256:
            raise DeepmarkError(
                f"{name}: its sha256 differs from the index. Copy the folder that `deepmark shard` made there again."
            )

    def _reserve(self, draft: Path, size: int, name: str) -> None:
        """Make room for the draft and give it its final size, so that it counts in full from now on."""
        with FileLock(self.folder / "cache.lock"):
            self._delete_abandoned()
            shards = sorted(self.folder.glob("*.tar"), key=lambda path: path.stat().st_mtime)
            total = sum(path.stat().st_size for path in (*shards, *self.folder.glob(f"*{UNFINISHED}"))) + size
            for path in shards:
                if total <= self.limit:
                    break
                size_on_disk = path.stat().st_size
                if _delete_unused(path):
                    total -= size_on_disk
            if total > self.limit:
                raise DeepmarkError(
                    f"{self.folder}: no room for {name} ({size / 2**30:.2f} GiB): the shards in use fill it up to its "
                    f"limit of {self.limit / 2**30:.2f} GiB. Raise params.yaml: storage: cache_gib."
                )
            try:
                draft.touch()
                os.truncate(draft, size)
            except OSError as error:
                raise self._unusable(error) from None

    def _delete_abandoned(self) -> None:
        """Delete the drafts of killed processes, which are those whose lock is free."""
        for draft in self.folder.glob(f"*{UNFINISHED}"):
            with suppress(Timeout), FileLock(draft.with_suffix(".lock"), blocking=False):
                draft.unlink(missing_ok=True)

    def _unusable(self, error: OSError) -> DeepmarkError:
        return DeepmarkError(
            f"{self.folder}: cannot keep shards ({error.strerror}). Name another folder as params.yaml: storage: cache."
        )


def _delete_unused(path: Path) -> bool:
    """Delete a shard and return True, unless a descriptor of it is open somewhere."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink()
        return True
