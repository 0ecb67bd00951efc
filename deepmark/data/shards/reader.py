"""Reads samples from shards by position and verifies the checksum of each."""

import hashlib
import os
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash

from deepmark.data.shards.index import jpeg_of, json_of, sample_table
from deepmark.data.shards.record_json import record_from_json
from deepmark.data.shards.source import LocalShards, RemoteShards
from deepmark.errors import DeepmarkError
from deepmark.types import ImageRecord


def _close(descriptors: Mapping[int, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)


class ShardReader:
    """The samples in a folder of shards, by position; the folder may lie on other storage.

        reader = ShardReader("data/shards/train")
        record, jpeg = reader[0]

    Every read verifies the sample's checksum. Threads may share a reader, a forked process may go on using it, and an
    unpickled one opens its files again.

    Raises DeepmarkError, when opened, if the index is damaged, or a file is missing or of another size than the index
    says; when read, if a sample is damaged: the message names the file and the sample. Other storage can fail at both.
    """

    def __init__(self, folder: str | Path | RemoteShards) -> None:
        self._source = folder if isinstance(folder, RemoteShards) else LocalShards(Path(folder))
        index = self._source.index()
        self.split = index.split
        self._shards = index.shards
        self._samples = sample_table(index)
        self._descriptors: dict[int, int] = {}
        weakref.finalize(self, _close, self._descriptors)
        self._descriptors.update(self._source.open_all(index.shards))

    def __reduce__(self) -> tuple[type["ShardReader"], tuple[Path | RemoteShards]]:
        source = self._source
        return ShardReader, (source if isinstance(source, RemoteShards) else source.folder,)

    def __len__(self) -> int:
        return len(self._samples.keys)

    def __getitem__(self, position: int) -> tuple[ImageRecord, bytes]:
        """The record and the JPEG at a position."""
        span = self.read_span(position)
        return self._record(position, span), jpeg_of(span, int(self._samples.jpeg_bytes[position]))

    def record(self, position: int) -> ImageRecord:
        """The record without the JPEG."""
        return self._record(position, self.read_span(position))

    def key(self, position: int) -> str:
        """The image's number, as in its file name."""
        return self._samples.keys[position]

    def read_span(self, position: int) -> bytes:
        """All bytes of a sample, verified: its part of the tar."""
        samples = self._samples
        if not 0 <= position < len(self):
            raise IndexError(f"sample {position} of {len(self)}")
        shard, length = int(samples.shards[position]), int(samples.lengths[position])
        descriptor = self._descriptors.get(shard)
        if descriptor is None:
            descriptor = self._register(shard, self._source.open(self._shards[shard]))
        # Not a memory map: if a disk fails or a file shrinks, a memory map kills the process without a message.
        try:
            span = os.pread(descriptor, length, int(samples.offsets[position]))
        except OSError as error:
            raise self._damage(position, f"cannot be read ({error.strerror})") from None
        if xxhash.xxh3_64_intdigest(span) != int(samples.checksums[position]):
            raise self._damage(position, "is damaged")
        return span

    def _register(self, shard: int, descriptor: int) -> int:
        """The descriptor to use for the shard; if another thread was first, its descriptor, and this one is closed."""
        registered = self._descriptors.setdefault(shard, descriptor)  # atomic
        if registered != descriptor:
            os.close(descriptor)
        return registered

    def _record(self, position: int, span: bytes) -> ImageRecord:
        sizes = int(self._samples.jpeg_bytes[position]), int(self._samples.json_bytes[position])
        try:
            return record_from_json(json_of(span, *sizes))
        except (ValueError, KeyError, TypeError):
            raise self._damage(position, "holds no record of this DeepMark") from None

    def _damage(self, position: int, fault: str) -> DeepmarkError:
        name = self._source.name(self._shards[self._samples.shards[position]])
        return DeepmarkError(f"{name}: sample '{self.key(position)}' {fault}. {self._source.remedy}")

    def verify(self, progress: Callable[[int], None] = lambda count: None) -> None:
        """Compare the sha256 of every local shard with the index.

        `progress` is called with the number of further samples that are intact. A shard of other storage that has not
        been fetched yet is compared when it is fetched.

        Raises DeepmarkError, which names the first shard that differs.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            digests = pool.map(self._sha256, range(len(self._shards)))
            for shard, digest in zip(self._shards, digests, strict=True):
                if digest not in (None, shard.sha256):
                    name, remedy = self._source.name(shard), self._source.remedy
                    raise DeepmarkError(f"{name}: its sha256 differs from index.json. {remedy}")
                progress(shard.count)

    def _sha256(self, number: int) -> str | None:
        # By descriptor, because the path may name another file by now.
        digest, position, descriptor = hashlib.sha256(), 0, self._descriptors.get(number)
        if descriptor is None:
            cached = self._source.find(self._shards[number])
            if cached is None:
                return None
            descriptor = self._register(number, cached)
        try:
            while block := os.pread(descriptor, 2**20, position):
                digest.update(block)
                position += len(block)
        except OSError as error:
            name = self._source.name(self._shards[number])
            raise DeepmarkError(f"{name}: cannot be read ({error.strerror}). {self._source.remedy}") from None
        return digest.hexdigest()
