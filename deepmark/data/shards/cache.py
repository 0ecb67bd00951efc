"""Shards from other storage, kept on this machine: each fetched whole, once, known by its sha256, up to a size.

Processes and threads share a folder. A lock a shard lets one fetch and the others wait; a lock on the folder lets one
at a time make room. What is open somewhere is never thrown away; of the rest, what was used longest ago goes first.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deepmark.errors import DeepmarkError

_UNFINISHED = ".unfinished"


@dataclass(frozen=True, kw_only=True)
class ShardCache:
    """A folder of shards and the most bytes it may hold."""

    folder: Path
    limit: int

    def find(self, sha256: str, size: int) -> int | None:
        """A descriptor of the shard, to be closed by the caller; None where it is not here."""
        path = self._path(sha256)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # in use, until it is closed
        if os.fstat(descriptor).st_size != size:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):  # thrown away this moment, or a folder that may only be read
            os.utime(path)
        return descriptor

    def fetch(self, sha256: str, size: int, blocks: Iterable[bytes], *, name: str) -> int:
        """A descriptor of the shard, which is taken from `blocks` where it is not here.

        Raises DeepmarkError where the blocks have another sha256, and where they do not fit; `name` is what to call it.
        """
        self._make_folder()
        with _locked(self.folder / f"{sha256}.lock"):
            found = self.find(sha256, size)
            if found is not None:
                return found
            draft = self._path(sha256).with_suffix(_UNFINISHED)
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
                f"{name}: its sha256 differs from index.json. Copy the folder that `deepmark shard` made there again."
            )

    def _reserve(self, draft: Path, size: int, name: str) -> None:
        """Make room for the draft, and let it count with its final size from now on."""
        with _locked(self.folder / "cache.lock"):
            self._drop_abandoned()
            kept = sorted(self.folder.glob("*.tar"), key=lambda path: path.stat().st_mtime)
            total = sum(path.stat().st_size for path in (*kept, *self.folder.glob(f"*{_UNFINISHED}"))) + size
            for path in kept:
                if total <= self.limit:
                    break
                held = path.stat().st_size
                if _drop_unused(path):
                    total -= held
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

    def _drop_abandoned(self) -> None:
        """Drafts of processes that were killed: nobody holds their locks."""
        for draft in self.folder.glob(f"*{_UNFINISHED}"):
            with draft.with_suffix(".lock").open("a") as lock, suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink(missing_ok=True)

    def _unusable(self, error: OSError) -> DeepmarkError:
        return DeepmarkError(
            f"{self.folder}: cannot keep shards ({error.strerror}). Name another folder as params.yaml: storage: cache."
        )


def _drop_unused(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink()
        return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
