"""The index of a folder of shards, .index.json: the place and the checksum of every sample.

A shard is a ustar archive of pairs, {key}.jpg then {key}.json, followed by two blocks of zeros. The span of a sample is
everything that belongs to its pair: header, JPEG, padding, header, JSON, padding. Its checksum (XXH3, 64 bits) covers
the whole span, so no byte between samples is unchecked. The sha256 of the shard covers the final zeros too. The index
ends with its own sha256. Its name begins with a dot so that tools which read every visible file as a tar, such as
`datasets.load_dataset("webdataset", data_dir=…)`, do not meet it.
"""

import hashlib
import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.errors import DeepmarkError
from deepmark.shapes import Int64, UInt64
from deepmark.vocabulary import DEEPFASHION2, Vocabulary
from deepmark.vocabulary.vocabulary_json import restored_vocabulary, stored_vocabulary

BLOCK = 512
"""Bytes; a tar consists of blocks of this size."""

END = 2 * BLOCK
"""Bytes; the zeros at the end of a tar."""

INDEX_FILE = ".index.json"
OLD_INDEX_FILE = "index.json"
"""Its name in folders that were written by release 0.1; they are read as ever."""

_FORMAT = "deepmark shards, version 1"
_FILE = re.compile(r"[A-Za-z0-9_]+-[0-9]{6,}\.tar", re.ASCII)
_KEY = re.compile(r"[0-9]{6,9}", re.ASCII)
_HEX64, _HEX256 = re.compile(r"[0-9a-f]{16}"), re.compile(r"[0-9a-f]{64}")
_INDEX_SHA256 = re.compile(rb',"index_sha256":"([0-9a-f]{64})"\}\n')
_INDEX_SHA256_BYTES = 84


def padded(size: Any) -> Any:
    """The bytes that a file of this size takes in a tar, without its header; also for arrays."""
    return -(-size // BLOCK) * BLOCK


def span_length(jpeg_bytes: Any, json_bytes: Any) -> Any:
    """The length of a sample's span in bytes; also for arrays."""
    return BLOCK + padded(jpeg_bytes) + BLOCK + padded(json_bytes)


def jpeg_of(span: bytes, jpeg_bytes: int) -> bytes:
    """The JPEG in a sample's span."""
    return span[BLOCK : BLOCK + jpeg_bytes]


def json_of(span: bytes, jpeg_bytes: int, json_bytes: int) -> bytes:
    """The JSON in a sample's span."""
    start = 2 * BLOCK + padded(jpeg_bytes)
    return span[start : start + json_bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """The samples of a shard in their order, one column per property."""

    key: list[str]
    """The image's number, as in its file name."""

    offset: list[int]
    """Start of the span in the shard, bytes."""

    length: list[int]
    """Length of the span, bytes."""

    jpeg_bytes: list[int]
    json_bytes: list[int]
    xxh3_64: list[str]
    """Checksum of the span, hexadecimal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One tar file."""

    file: str
    count: int
    """Number of samples."""

    bytes: int
    sha256: str
    samples: Samples


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardIndex:
    """All shards of a split."""

    split: str
    seed: int
    target_mib: float
    shards: tuple[Shard, ...]
    vocabulary: Vocabulary = DEEPFASHION2
    """Of the garments in the records."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleTable:
    """The samples of all shards joined, as arrays for fast access by position."""

    keys: list[str]
    shards: Int64[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " n"]
    lengths: Int64[np.ndarray, " n"]
    jpeg_bytes: Int64[np.ndarray, " n"]
    json_bytes: Int64[np.ndarray, " n"]
    checksums: UInt64[np.ndarray, " n"]


def write_index(path: Path, index: ShardIndex) -> None:
    """Write one line of JSON; its last field is the sha256 of everything before it."""
    path.write_bytes(index_bytes(index))


def index_bytes(index: ShardIndex) -> bytes:
    """The content of the file of an index."""
    shards = [{**_fields(shard), "samples": _fields(shard.samples)} for shard in index.shards]
    values = {"format": _FORMAT, **_fields(index), "shards": shards}
    if (vocabulary := stored_vocabulary(values.pop("vocabulary"))) is not None:
        values["vocabulary"] = vocabulary
    body = json.dumps(values, separators=(",", ":"), allow_nan=False)[:-1].encode()
    return body + f',"index_sha256":"{hashlib.sha256(body).hexdigest()}"}}\n'.encode()


def _fields(value: Any) -> dict[str, Any]:
    # Not `asdict`, which copies every number: 5 us a sample.
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _require(condition: bool, subject: str) -> None:
    if not condition:
        raise ValueError(subject)


def _check_shard(shard: Shard) -> None:
    """Raise ValueError unless the shard's numbers agree: samples follow each other and end within the file."""
    samples = shard.samples
    _require(bool(_FILE.fullmatch(shard.file)), "a shard's file name")
    _require(bool(_HEX256.fullmatch(shard.sha256)), "a shard's sha256")
    columns = _fields(samples)
    _require(type(shard.count) is int and shard.count > 0, "a shard's count")
    _require(all(type(column) is list and len(column) == shard.count for column in columns.values()), "a column")
    for name in ("offset", "length", "jpeg_bytes", "json_bytes"):
        _require(all(type(n) is int and 0 <= n < 2**48 for n in columns[name]), name)
    _require(all(map(_KEY.fullmatch, samples.key)), "a key")
    _require(all(map(_HEX64.fullmatch, samples.xxh3_64)), "a checksum")
    lengths = span_length(np.array(samples.jpeg_bytes), np.array(samples.json_bytes))
    _require(samples.length == lengths.tolist(), "a sample's length")
    ends = np.cumsum(lengths)
    _require(samples.offset == [0, *ends[:-1].tolist()], "a sample's offset")
    _require(shard.bytes == int(ends[-1]) + END, "a shard's size")


def _parse(data: bytes, name: str) -> ShardIndex:
    body, ending = data[:-_INDEX_SHA256_BYTES], _INDEX_SHA256.fullmatch(data[-_INDEX_SHA256_BYTES:])
    _require(ending is not None and ending[1].decode() == hashlib.sha256(body).hexdigest(), "its checksum differs")
    values = json.loads(data)
    _require(values.pop("format") == _FORMAT, f"expected the format '{_FORMAT}'")
    del values["index_sha256"]
    shards = tuple(Shard(**{**shard, "samples": Samples(**shard["samples"])}) for shard in values.pop("shards"))
    vocabulary = restored_vocabulary(values.pop("vocabulary", None), name)
    index = ShardIndex(**values, shards=shards, vocabulary=vocabulary)
    _require(isinstance(index.split, str), "the split")
    _require(type(index.seed) is int and type(index.target_mib) in (int, float), "seed and target")
    for shard in shards:
        _check_shard(shard)
    keys = [key for shard in shards for key in shard.samples.key]
    _require(len(set(keys)) == len(keys), "a key appears twice")
    _require(len({shard.file for shard in shards}) == len(shards), "a file appears twice")
    return index


def parse_index(data: bytes, name: str) -> ShardIndex:
    """The index in `data`, after a check of its checksum and its numbers; errors call the file `name`.

    Raises DeepmarkError where it is damaged or has another format.
    """
    try:
        return _parse(data, name)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DeepmarkError(
            f"{name}: is damaged or not an index of shards ({error}). Run `deepmark shard` again."
        ) from None


def index_file(folder: Path) -> Path:
    """The index of a folder of shards, under its old name only where there is none of the new."""
    new, old = folder / INDEX_FILE, folder / OLD_INDEX_FILE
    return old if old.exists() and not new.exists() else new


def read_index(folder: Path) -> ShardIndex:
    """The index of a folder of shards, checked as by `parse_index`.

    Raises DeepmarkError where it is damaged, has another format, or is missing.
    """
    path = index_file(folder)
    try:
        return parse_index(path.read_bytes(), str(path))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise DeepmarkError(f"{path}: cannot be read ({error.strerror}). `deepmark shard` makes it.") from None


def sample_table(index: ShardIndex) -> SampleTable:
    """The columns of all shards, joined."""
    columns = [shard.samples for shard in index.shards]

    def joined(name: str) -> np.ndarray:
        return np.array([value for samples in columns for value in getattr(samples, name)], np.int64)

    return SampleTable(
        keys=[key for samples in columns for key in samples.key],
        shards=np.repeat(np.arange(len(columns)), [shard.count for shard in index.shards]),
        offsets=joined("offset"),
        lengths=joined("length"),
        jpeg_bytes=joined("jpeg_bytes"),
        json_bytes=joined("json_bytes"),
        checksums=np.array([int(value, 16) for samples in columns for value in samples.xxh3_64], np.uint64),
    )
