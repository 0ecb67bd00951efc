"""Where a reader gets its shards from: a local folder, or other storage through a cache."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deepmark.data.shards.cache import ShardCache
from deepmark.data.shards.index import INDEX_FILE, OLD_INDEX_FILE, Shard, ShardIndex, parse_index, read_index
from deepmark.data.shards.remote import MissingFileError, RemoteFolder
from deepmark.errors import DeepmarkError


def remote_index(folder: RemoteFolder) -> tuple[bytes, str]:
    """The content and the URL of the index of a folder, under its old name only where there is none of the new.

    Raises DeepmarkError, which names the new one, where there is neither.
    """
    try:
        return folder.read(INDEX_FILE), folder.name(INDEX_FILE)
    except MissingFileError:
        with suppress(MissingFileError):
            return folder.read(OLD_INDEX_FILE), folder.name(OLD_INDEX_FILE)
        raise


@dataclass(frozen=True)
class LocalShards:
    """A folder that `deepmark shard` made."""

    folder: Path
    remedy = "Run `deepmark shard` again."

    def name(self, shard: Shard) -> str:
        return str(self.folder / shard.file)

    def index(self) -> ShardIndex:
        return read_index(self.folder)

    def open_all(self, shards: tuple[Shard, ...]) -> Iterator[tuple[int, int]]:
        """The number of each shard in the index and a descriptor of it; opens all, because that is cheap."""
        for number, shard in enumerate(shards):
            yield number, self.open(shard)

    def find(self, shard: Shard) -> int | None:
        """A descriptor of the shard, which is always on this machine."""
        return self.open(shard)

    def open(self, shard: Shard) -> int:
        """A descriptor of the shard, which the caller closes.

        Raises DeepmarkError where the file is missing or has another size than the index says; OSError where it is
        the system that does not open it, such as with too many files open, which new shards would not mend.
        """
        path = self.name(shard)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise DeepmarkError(f"{path}: is not there, the index names it. {self.remedy}") from None
        size = os.fstat(descriptor).st_size
        if size != shard.bytes:
            os.close(descriptor)
            raise DeepmarkError(f"{path}: has {size:,} bytes, the index says {shard.bytes:,}. {self.remedy}")
        return descriptor


@dataclass(frozen=True)
class RemoteShards:
    """A copy of that folder on other storage; a shard is fetched when it is first read."""

    folder: RemoteFolder
    cache: ShardCache
    remedy = "Delete the copy in the cache (params.yaml: storage: cache): it is fetched again."

    def name(self, shard: Shard) -> str:
        return f"{self.folder.name(shard.file)} ({self.cache.folder / shard.sha256}.tar)"

    def index(self) -> ShardIndex:
        return parse_index(*remote_index(self.folder))

    def open_all(self, shards: tuple[Shard, ...]) -> Iterator[tuple[int, int]]:
        """Opens none, but checks that all shards exist and fit into the cache.

        Raises DeepmarkError where an object is missing or has another size than the index says, and where the cache
        cannot hold all shards at once: samples are read in any order, so shards would be fetched again and again.
        """
        size = sum(shard.bytes for shard in shards)
        if size > self.cache.limit:
            raise DeepmarkError(
                f"{self.folder.url}: its shards hold {size / 2**30:.2f} GiB, the cache may hold "
                f"{self.cache.limit / 2**30:.2f} GiB. Raise params.yaml: storage: cache_gib."
            )
        sizes = self.folder.sizes()
        for shard in shards:
            name, size_there = self.folder.name(shard.file), sizes.get(shard.file, -1)
            if size_there == -1:
                raise DeepmarkError(f"{name}: is not there, the index names it. Copy the folder there again.")
            if size_there not in (None, shard.bytes):
                raise DeepmarkError(
                    f"{name}: has {size_there:,} bytes, the index says {shard.bytes:,}. Copy the folder there again."
                )
        return iter(())

    def find(self, shard: Shard) -> int | None:
        """A descriptor of the shard; None if it was not fetched yet."""
        return self.cache.find(shard.sha256, shard.bytes)

    def open(self, shard: Shard) -> int:
        """A descriptor of the shard, which the caller closes; the shard is fetched if it was not yet."""
        blocks = self.folder.blocks(shard.file, shard.bytes)
        return self.cache.fetch(shard.sha256, shard.bytes, blocks, name=self.folder.name(shard.file))


@dataclass(frozen=True)
class StreamedShards:
    """The same copy without a cache: shards are read from start to end and not kept."""

    folder: RemoteFolder
    remedy = "Copy the folder that `deepmark shard` made there again."

    def name(self, shard: Shard) -> str:
        return self.folder.name(shard.file)

    def index(self) -> ShardIndex:
        return parse_index(*remote_index(self.folder))

    def blocks(self, shard: Shard) -> Iterator[bytes]:
        """The content of the shard, block by block."""
        return self.folder.blocks(shard.file, shard.bytes)
