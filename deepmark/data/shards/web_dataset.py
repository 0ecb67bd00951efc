"""The shards as a pipeline of the webdataset library, for people who train a network of their own."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
import xxhash
from webdataset.compat import FluidInterface

from deepmark.data.shards.cache import ShardCache
from deepmark.data.shards.index import Shard, jpeg_of, json_of
from deepmark.data.shards.record_json import record_from_json
from deepmark.data.shards.remote import RemoteFolder, is_url
from deepmark.data.shards.source import LocalShards, RemoteShards, StreamedShards
from deepmark.errors import DeepmarkError, as_path
from deepmark.vocabulary import Vocabulary

BLOCK_BYTES = 2**20
"""Bytes read at once from a local shard."""


class WebDataset(webdataset.DataPipeline, FluidInterface):
    """A pipeline of the webdataset library, with its methods `decode`, `to_tuple`, `map`, `batched`, `repeat` …"""

    vocabulary: Vocabulary
    """The categories and landmarks that the numbers in its records mean."""

    def decode(self, *handlers: Any, partial: bool = True, **options: Any) -> "WebDataset":
        """The library's `decode`, which leaves values that are not bytes, here records, as they are.

        Arrays can be written to, which torch asks for, and which those that the library makes of images cannot.
        """
        return super().decode(*handlers, partial=partial, **options).map(_writable)


def _writable(sample: dict[str, Any]) -> dict[str, Any]:
    read_only = {
        name: value.copy()
        for name, value in sample.items()
        if isinstance(value, np.ndarray) and not value.flags.writeable
    }
    return {**sample, **read_only}


def web_dataset(
    shards: str | os.PathLike[str],
    split: str,
    *,
    shuffle: int = 0,
    seed: int = 0,
    epoch: int = 0,
    cache: str | os.PathLike[str] | None = None,
    cache_gib: float = 64,
) -> WebDataset:
    """The samples of a split as a pipeline of the webdataset library.

        dataset = web_dataset("data/shards", "train", shuffle=1000).decode("rgb8").to_tuple("jpg", "record")
        for image, record in torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=4):
            ...

    `shards` is the folder `data/shards` of a workspace, or the URL of a copy of it: s3://…, https://…, file://… or any
    other that fsspec reads. A sample is a dictionary of `__key__` (the image's number, "000001"), `__url__` (the
    shard), `jpg` (the bytes of the JPEG file) and `record` (an ImageRecord, of `dataset.vocabulary`). The checksum of
    every sample is verified.

    The processes of torch.distributed (or of RANK and WORLD_SIZE) and the workers of a DataLoader read different
    shards: together they read every sample once, but some read more samples than others. If all processes must take the
    same number of steps, add `.repeat().with_epoch(steps)`.

    `shuffle` is the number of samples in the buffer in which samples are shuffled; shards are shuffled too. 0 keeps the
    order of the shards. The order depends on `seed` and on the epoch, which is `epoch` in the first pass and one more
    in each further pass. The workers of a DataLoader count passes only with `persistent_workers=True`; without it,
    create the pipeline again with the next `epoch`.

    Shards behind a URL are fetched in every pass, unless `cache` names a folder for them, which holds at most
    `cache_gib` GiB.

    Raises DeepmarkError where the index is missing or damaged; a pass raises it where a shard is missing or a sample is
    damaged, and the message names both.
    """
    if not isinstance(shards, str) or not is_url(shards):
        shards = as_path(shards, "web_dataset: shards")
    for name, value in (("shuffle", shuffle), ("seed", seed), ("epoch", epoch)):
        if not isinstance(value, int) or value < 0:
            raise DeepmarkError(f"web_dataset: {name} is {value!r}. Give a whole number, 0 or more.")
    source = _open_source(f"{os.fspath(shards).rstrip('/')}/{split}", cache, cache_gib)
    index = source.index()
    files = index.shards
    stages: list[Any] = [webdataset.SimpleShardList([shard.file for shard in files])]
    if shuffle:
        stages.append(webdataset.detshuffle(len(files), len(files), seed=seed, epoch=epoch - 1))
    stages += [webdataset.split_by_node, webdataset.split_by_worker, _SampleReader(source, files)]
    if shuffle:
        stages.append(webdataset.detshuffle(shuffle, shuffle, seed=seed, epoch=epoch - 1))
    dataset = WebDataset(*stages)
    dataset.vocabulary = index.vocabulary
    return dataset


_Source = LocalShards | RemoteShards | StreamedShards


def _open_source(place: str, cache: str | os.PathLike[str] | None, cache_gib: float) -> _Source:
    if not is_url(place):
        return LocalShards(Path(place))
    if cache is None:
        return StreamedShards(RemoteFolder(url=place))
    return RemoteShards(
        RemoteFolder(url=place), ShardCache(folder=as_path(cache, "web_dataset: cache"), limit=int(cache_gib * 2**30))
    )


def _blocks(source: _Source, shard: Shard) -> Iterator[bytes]:
    if isinstance(source, StreamedShards):
        yield from source.blocks(shard)
        return
    with os.fdopen(source.open(shard), "rb") as file:
        try:
            while block := file.read(BLOCK_BYTES):
                yield block
        except OSError as error:
            raise DeepmarkError(f"{source.name(shard)}: cannot be read ({error.strerror}). {source.remedy}") from None


class _SampleReader:
    """The stage of the pipeline that reads shards one after the other and verifies every sample."""

    def __init__(self, source: _Source, shards: tuple[Shard, ...]) -> None:
        self.source = source
        self.shards = {shard.file: shard for shard in shards}

    def __call__(self, urls: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for each in urls:
            yield from self._samples(self.shards[each["url"]])

    def _samples(self, shard: Shard) -> Iterator[dict[str, Any]]:
        blocks, buffer, samples = _blocks(self.source, shard), bytearray(), shard.samples
        columns = samples.key, samples.length, samples.jpeg_bytes, samples.json_bytes, samples.xxh3_64
        for key, length, jpeg_bytes, json_bytes, checksum in zip(*columns, strict=True):
            while len(buffer) < length and (block := next(blocks, b"")):
                buffer += block
            span = bytes(buffer[:length])
            del buffer[:length]
            if xxhash.xxh3_64_hexdigest(span) != checksum:
                raise self._damage(shard, key, "is damaged")
            try:
                record = record_from_json(json_of(span, jpeg_bytes, json_bytes))
            except (ValueError, KeyError, TypeError):
                raise self._damage(shard, key, "holds no record of this DeepMark") from None
            name = self.source.name(shard)
            yield {"__key__": key, "__url__": name, "jpg": jpeg_of(span, jpeg_bytes), "record": record}

    def _damage(self, shard: Shard, key: str, fault: str) -> DeepmarkError:
        return DeepmarkError(f"{self.source.name(shard)}: sample '{key}' {fault}. {self.source.remedy}")
