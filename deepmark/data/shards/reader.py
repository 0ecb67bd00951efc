"""Reads samples from shards by position and verifies the checksum of each."""

import hashlib
import operator
import os
import resource
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex, TypeVar, overload

import numpy as np
import xxhash

from deepmark.data.shards.index import SampleTable, Shard, jpeg_of, json_of, sample_table
from deepmark.data.shards.record_json import record_from_json
from deepmark.data.shards.remote import is_url
from deepmark.data.shards.source import LocalShards, RemoteShards
from deepmark.data.shards.verified import VerifiedShards
from deepmark.errors import DeepmarkError, as_path
from deepmark.types import ImageRecord
from deepmark.vocabulary import stored_vocabulary

Sample = tuple[ImageRecord, bytes]
"""A record, and the bytes of its JPEG file."""

if TYPE_CHECKING:
    _Samples = Sequence[Sample]
else:  # without its items' type: a checker of types at run time would read a sample of every reader that it sees
    _Samples = Sequence

_Found = TypeVar("_Found", int, int | None)


def _most_open() -> int:
    """How many files a reader keeps open: a fourth of what the operating system allows this process (`ulimit -n`)."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (2**20 if limit == resource.RLIM_INFINITY else limit) // 4)


def _close(descriptors: Mapping[int, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)


class ShardReader(_Samples):
    """The samples in a folder of shards, a sequence of (record, JPEG); the folder may lie on other storage.

        reader = ShardReader("data/shards/train")
        record, jpeg = reader[0]

    Every read verifies the sample's checksum. Threads may share a reader, a forked process may go on using it, and a
    process that it is sent to opens its files once, however often it is sent. A slice reads all of its samples at once.
    `only` is a file with the keys of the samples to read, one a line; without it all are.

    Raises DeepmarkError, when opened, if `folder` is no path, the index is damaged, or a file is missing or of another
    size than the index says; when read, if a sample is damaged: the message names the file and the sample. Other
    storage can fail at both.
    """

    def __init__(self, folder: str | os.PathLike[str] | RemoteShards, *, only: Path | None = None) -> None:
        if isinstance(folder, str) and is_url(folder):
            raise DeepmarkError(f"ShardReader: {folder} is a URL. `deepmark.web_dataset` reads shards from one.")
        self._source: LocalShards | RemoteShards = (
            folder if isinstance(folder, RemoteShards) else LocalShards(as_path(folder, "ShardReader: folder"))
        )
        index = self._source.index()
        self.split = index.split
        self.vocabulary = index.vocabulary
        """Of the garments in the records."""

        self._shards = index.shards
        self._only = only
        self._samples = sample_table(index) if only is None else _chosen(sample_table(index), only)
        self._most_open = _most_open()
        self._descriptors: dict[int, int] = {}
        weakref.finalize(self, _close, self._descriptors)
        for number, descriptor in self._source.open_all(index.shards):
            if len(self._descriptors) < self._most_open:
                self._descriptors[number] = descriptor
            else:
                os.close(descriptor)

    def __reduce__(self) -> tuple[Callable[..., "ShardReader"], tuple[Path | RemoteShards, Path | None, str]]:
        source, only = self._source, self._only and self._only.absolute()
        return _unpickled, (source if isinstance(source, RemoteShards) else source.folder.absolute(), only, self.sha256)

    @cached_property
    def sha256(self) -> str:
        """Identifies the samples, their order and what they mean, wherever the folder lies.

        It is of the sums of all shards, of the vocabulary unless that is the built-in one, and of the keys in `only`.
        """
        parts = [shard.sha256 for shard in self._shards]
        if stored := stored_vocabulary(self.vocabulary):
            parts.append(stored)
        if self._only is not None:
            parts += ["only", *self._samples.keys]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._samples.keys)

    @property
    def total_bytes(self) -> int:
        """The size of all shards."""
        return sum(shard.bytes for shard in self._shards)

    @overload
    def __getitem__(self, position: SupportsIndex) -> Sample: ...

    @overload
    def __getitem__(self, position: slice) -> list[Sample]: ...

    def __getitem__(self, position: SupportsIndex | slice) -> Sample | list[Sample]:
        """The record and the JPEG at a position; a list of them for a slice."""
        if isinstance(position, slice):
            return [self[place] for place in range(*position.indices(len(self)))]
        place = self._place(position)
        span = self.read_span(place)
        return self._record(place, span), jpeg_of(span, int(self._samples.jpeg_bytes[place]))

    def record(self, position: SupportsIndex) -> ImageRecord:
        """The record without the JPEG."""
        place = self._place(position)
        return self._record(place, self.read_span(place))

    def key(self, position: SupportsIndex) -> str:
        """The image's number, as in its file name."""
        return self._samples.keys[self._place(position)]

    def _place(self, position: SupportsIndex) -> int:
        """The position from the beginning; raises IndexError outside, TypeError for what is no whole number."""
        place = operator.index(position)
        if not -len(self) <= place < len(self):
            raise IndexError(f"sample {place} of {len(self)}")
        return place % len(self)

    def read_span(self, position: SupportsIndex) -> bytes:
        """All bytes of a sample, verified: its part of the tar."""
        samples, place = self._samples, self._place(position)
        with self._opened(int(samples.shards[place]), self._source.open) as descriptor:
            # Not a memory map: if a disk fails or a file shrinks, a memory map kills the process without a message.
            try:
                span = os.pread(descriptor, int(samples.lengths[place]), int(samples.offsets[place]))
            except OSError as error:
                raise self._damage(place, f"cannot be read ({error.strerror})") from None
        if xxhash.xxh3_64_intdigest(span) != int(samples.checksums[place]):
            raise self._damage(place, "is damaged")
        return span

    @contextmanager
    def _opened(self, shard: int, open_shard: Callable[[Shard], _Found]) -> Iterator[_Found]:
        """A descriptor of the shard, which stays open afterwards only as long as few others are."""
        kept = self._descriptors.get(shard)
        if kept is not None:
            yield kept
            return
        opened = open_shard(self._shards[shard])
        if opened is None:
            yield opened
        elif len(self._descriptors) < self._most_open:
            yield self._register(shard, opened)
        else:
            try:
                yield opened
            finally:
                os.close(opened)

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

    def verify(
        self, progress: Callable[[int], None] = lambda count: None, *, verified: VerifiedShards | None = None
    ) -> None:
        """Compare the sha256 of every local shard with the index.

        `progress` is called with the number of further samples that are intact. A shard of other storage that has not
        been fetched yet is compared when it is fetched. Shards of a local folder that `verified` knows are not read,
        and those that are intact are added to it.

        Raises DeepmarkError, which names the first shard that differs.
        """
        check = partial(self._is_intact, verified=verified)
        with ThreadPoolExecutor(min(os.cpu_count() or 1, self._most_open)) as pool:
            for shard, is_intact in zip(self._shards, pool.map(check, range(len(self._shards))), strict=True):
                if not is_intact:
                    name, remedy = self._source.name(shard), self._source.remedy
                    raise DeepmarkError(f"{name}: its sha256 differs from the index. {remedy}")
                progress(shard.count)

    def _is_intact(self, number: int, *, verified: VerifiedShards | None) -> bool:
        """Whether the shard is that of the index, or is not on this machine."""
        # By descriptor, because the path may name another file by now.
        with self._opened(number, self._source.find) as descriptor:
            if descriptor is None:
                return True
            shard = self._shards[number]
            name, status = self._source.name(shard), os.fstat(descriptor)
            if isinstance(self._source, RemoteShards):
                verified = None  # the cache sets the time of a shard whenever it is used
            if verified is not None and verified.knows(name, status, shard.sha256):
                return True
            is_intact = self._sha256(descriptor, name) == shard.sha256
            if is_intact and verified is not None:
                verified.add(name, status, shard.sha256)
            return is_intact

    def _sha256(self, descriptor: int, name: str) -> str:
        digest, position = hashlib.sha256(), 0
        try:
            while block := os.pread(descriptor, 2**20, position):
                digest.update(block)
                position += len(block)
        except OSError as error:
            raise DeepmarkError(f"{name}: cannot be read ({error.strerror}). {self._source.remedy}") from None
        return digest.hexdigest()


def _chosen(samples: SampleTable, only: Path) -> SampleTable:
    """The samples whose keys are in the file; raises DeepmarkError where it names one that is not there."""
    wanted = set(only.read_text("utf-8").split())
    rows = np.flatnonzero([key in wanted for key in samples.keys])
    if len(rows) < len(wanted):
        raise DeepmarkError(
            f"{only}: names {len(wanted):,} samples, of which the shards have {len(rows):,}. Run `dvc repro shard` and "
            "then `deepmark crossvalidate` again."
        )
    arrays = {each.name: getattr(samples, each.name)[rows] for each in fields(samples) if each.name != "keys"}
    return SampleTable(keys=[samples.keys[row] for row in rows.tolist()], **arrays)


@lru_cache(maxsize=4)
def _unpickled(folder: Path | RemoteShards, only: Path | None, sha256: str) -> ShardReader:
    reader = ShardReader(folder, only=only)
    if reader.sha256 != sha256:
        name = folder.folder.url if isinstance(folder, RemoteShards) else folder
        raise DeepmarkError(f"{name}: holds other shards than when this work began. Run it again.")
    return reader
