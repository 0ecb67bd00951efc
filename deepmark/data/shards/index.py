"""index.json of a folder of shards: what lies where, and how to tell that it is intact.

A shard is a ustar archive of pairs, {key}.jpg then {key}.json, which end in two blocks of zeros. A sample is the whole
stretch of one pair: header, JPEG, padding, header, JSON, padding. Its checksum (XXH3, 64 bits) covers all of that, so
nothing between two samples goes unwatched; the sha256 of the shard covers the end as well. The index ends in its own
sha256.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt64

from deepmark.errors import DeepmarkError

BLOCK = 512
"""Bytes; a tar is made of them."""

END = 2 * BLOCK
"""Zeros that close a tar."""

_FORMAT = "deepmark shards, version 1"
_FILE = re.compile(r"[A-Za-z0-9_]+-[0-9]{6,}\.tar", re.ASCII)
_KEY = re.compile(r"[0-9]{6,9}", re.ASCII)
_HEX64, _HEX256 = re.compile(r"[0-9a-f]{16}"), re.compile(r"[0-9a-f]{64}")
_SEAL = re.compile(rb',"index_sha256":"([0-9a-f]{64})"\}\n')
_SEAL_BYTES = 84


def padded(size: Any) -> Any:
    """How much room a file of this size takes in a tar, without its header; also for arrays of sizes."""
    return -(-size // BLOCK) * BLOCK


def sample_bytes(jpeg: Any, text: Any) -> Any:
    """The length of the stretch of a sample; also for arrays of sizes."""
    return BLOCK + padded(jpeg) + BLOCK + padded(text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """The samples of a shard in their order, a column a property."""

    key: list[str]
    """The picture's number, as in its file name."""

    offset: list[int]
    """Where the stretch begins in the shard, bytes."""

    length: list[int]
    """Of the stretch, bytes."""

    jpeg_bytes: list[int]
    json_bytes: list[int]
    xxh3_64: list[str]
    """Of the stretch, hexadecimal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One tar."""

    file: str
    count: int
    """Samples in it."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleTable:
    """The samples of all shards, one after the other, ready for look-ups."""

    keys: list[str]
    shards: Int64[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " n"]
    lengths: Int64[np.ndarray, " n"]
    jpeg_bytes: Int64[np.ndarray, " n"]
    json_bytes: Int64[np.ndarray, " n"]
    checksums: UInt64[np.ndarray, " n"]


def write_index(path: Path, index: ShardIndex) -> None:
    """One line of JSON, the last field the sha256 of everything before it."""
    body = json.dumps({"format": _FORMAT, **asdict(index)}, separators=(",", ":"), allow_nan=False)[:-1].encode()
    path.write_bytes(body + f',"index_sha256":"{hashlib.sha256(body).hexdigest()}"}}\n'.encode())


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def _check_shard(shard: Shard) -> None:
    """A shard's numbers fit together: no sample overlaps another, or leaves the file."""
    samples = shard.samples
    _require(bool(_FILE.fullmatch(shard.file)), "a shard's file name")
    _require(bool(_HEX256.fullmatch(shard.sha256)), "a shard's sha256")
    columns = asdict(samples)
    _require(type(shard.count) is int and shard.count > 0, "a shard's count")
    _require(all(type(column) is list and len(column) == shard.count for column in columns.values()), "a column")
    for name in ("offset", "length", "jpeg_bytes", "json_bytes"):
        _require(all(type(n) is int and 0 <= n < 2**48 for n in columns[name]), name)
    _require(all(map(_KEY.fullmatch, samples.key)), "a key")
    _require(all(map(_HEX64.fullmatch, samples.xxh3_64)), "a checksum")
    lengths = sample_bytes(np.array(samples.jpeg_bytes), np.array(samples.json_bytes))
    _require(samples.length == lengths.tolist(), "a sample's length")
    ends = np.cumsum(lengths)
    _require(samples.offset == [0, *ends[:-1].tolist()], "a sample's offset")
    _require(shard.bytes == int(ends[-1]) + END, "a shard's size")


def _parse(data: bytes) -> ShardIndex:
    body, seal = data[:-_SEAL_BYTES], _SEAL.fullmatch(data[-_SEAL_BYTES:])
    _require(seal is not None and seal[1].decode() == hashlib.sha256(body).hexdigest(), "its checksum differs")
    values = json.loads(data)
    _require(values.pop("format") == _FORMAT, f"expected the format '{_FORMAT}'")
    del values["index_sha256"]
    shards = tuple(Shard(**{**shard, "samples": Samples(**shard["samples"])}) for shard in values.pop("shards"))
    index = ShardIndex(**values, shards=shards)
    _require(isinstance(index.split, str), "the split")
    _require(type(index.seed) is int and type(index.target_mib) in (int, float), "seed and target")
    for shard in shards:
        _check_shard(shard)
    keys = [key for shard in shards for key in shard.samples.key]
    _require(len(set(keys)) == len(keys), "a key appears twice")
    _require(len({shard.file for shard in shards}) == len(shards), "a file appears twice")
    return index


def parse_index(data: bytes, name: str) -> ShardIndex:
    """The index, its checksum verified and its numbers consistent; `name` is what to call the file.

    Raises DeepmarkError where it is damaged or of another format.
    """
    try:
        return _parse(data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DeepmarkError(
            f"{name}: is damaged or not an index of shards ({error}). Run `deepmark shard` again."
        ) from None


def read_index(path: Path) -> ShardIndex:
    """The same of a file.

    Raises DeepmarkError also where it is missing.
    """
    try:
        return parse_index(path.read_bytes(), str(path))
    except OSError as error:
        raise DeepmarkError(f"{path}: cannot be read ({error.strerror}). `deepmark shard` makes it.") from None


def sample_table(index: ShardIndex) -> SampleTable:
    """The columns of all shards joined."""
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
