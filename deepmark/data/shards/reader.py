"""Reads samples from shards by position and verifies the checksum of each."""

import hashlib
import os
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash

from deepmark.data.shards.index import BLOCK, padded, sample_table
from deepmark.data.shards.record_json import record_from_json
from deepmark.data.shards.source import LocalShards, RemoteShards
from deepmark.errors import DeepmarkError
from deepmark.types import ImageRecord


def _close(descriptors: Mapping[int, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)


class ShardReader:
    """The samples of a folder of shards, by position; the folder may lie on other storage.

    Every read verifies the sample's checksum. Threads may share a reader, a forked process may go on with it, and a
    pickled one opens its files again.

    Raises DeepmarkError, at opening, where the index is damaged or a file is missing or has another size than it says;
    at reading, where a sample is damaged: the message names the file and the sample. Other storage may fail at both.
    """

    def __init__(self, folder: Path | RemoteShards) -> None:
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
        stretch = self._stretch(position)
        return self._record(position, stretch), stretch[BLOCK : BLOCK + int(self._samples.jpeg_bytes[position])]

    def record(self, position: int) -> ImageRecord:
        """The record alone."""
        return self._record(position, self._stretch(position))

    def key(self, position: int) -> str:
        """The picture's number, as in its file name."""
        return self._samples.keys[position]

    def _stretch(self, position: int) -> bytes:
        samples = self._samples
        if not 0 <= position < len(self):
            raise IndexError(f"sample {position} of {len(self)}")
        shard, length = int(samples.shards[position]), int(samples.lengths[position])
        descriptor = self._descriptors.get(shard)
        if descriptor is None:
            descriptor = self._keep(shard, self._source.open(self._shards[shard]))
        # Not a memory map: where a disk fails, or a file shrinks, that ends the process without a word.
        try:
            stretch = os.pread(descriptor, length, int(samples.offsets[position]))
        except OSError as error:
            raise self._damage(position, f"cannot be read ({error.strerror})") from None
        if xxhash.xxh3_64_intdigest(stretch) != int(samples.checksums[position]):
            raise self._damage(position, "is damaged")
        return stretch

    def _keep(self, shard: int, descriptor: int) -> int:
        kept = self._descriptors.setdefault(shard, descriptor)  # one step, so that of two threads one is second
        if kept != descriptor:
            os.close(descriptor)
        return kept

    def _record(self, position: int, stretch: bytes) -> ImageRecord:
        start = 2 * BLOCK + padded(int(self._samples.jpeg_bytes[position]))
        try:
            return record_from_json(stretch[start : start + int(self._samples.json_bytes[position])])
        except (ValueError, KeyError, TypeError):
            raise self._damage(position, "holds no record of this DeepMark") from None

    def _damage(self, position: int, what: str) -> DeepmarkError:
        name = self._source.name(self._shards[self._samples.shards[position]])
        return DeepmarkError(f"{name}: sample '{self.key(position)}' {what}. {self._source.remedy}")

    def verify(self, progress: Callable[[int], None] = lambda count: None) -> None:
        """Compare every byte that is here with the index; `progress` hears how many further samples are known good.

        A shard of other storage that is not here yet is compared when it comes.
        Raises DeepmarkError naming the first shard that differs.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            digests = pool.map(self._sha256, range(len(self._shards)))
            for shard, digest in zip(self._shards, digests, strict=True):
                if digest not in (None, shard.sha256):
                    name, remedy = self._source.name(shard), self._source.remedy
                    raise DeepmarkError(f"{name}: its sha256 differs from index.json. {remedy}")
                progress(shard.count)

    def _sha256(self, number: int) -> str | None:
        # Through the open file: a path may lead to another one by now.
        digest, position, descriptor = hashlib.sha256(), 0, self._descriptors.get(number)
        if descriptor is None:
            found = self._source.find(self._shards[number])
            if found is None:
                return None
            descriptor = self._keep(number, found)
        try:
            while block := os.pread(descriptor, 2**20, position):
                digest.update(block)
                position += len(block)
        except OSError as error:
            name = self._source.name(self._shards[number])
            raise DeepmarkError(f"{name}: cannot be read ({error.strerror}). {self._source.remedy}") from None
        return digest.hexdigest()
