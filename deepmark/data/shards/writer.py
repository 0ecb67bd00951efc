"""Writes records and their images into WebDataset shards: {key}.jpg is the original file, {key}.json the record.

The content of every shard depends on the records and the seed alone, so any number of processes writes the same bytes.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.data.records import SCHEMA, open_records, read_batches, records_from_batch
from deepmark.data.sampling import permutation
from deepmark.data.shards.index import BLOCK, END, INDEX_FILE, Samples, Shard, ShardIndex, padded, write_index
from deepmark.data.shards.record_json import record_to_json
from deepmark.errors import DeepmarkError
from deepmark.files import new_folder, require_space
from deepmark.shapes import Int64
from deepmark.types import ImageRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardPlan:
    """A shard to be written."""

    file: str
    records: tuple[ImageRecord, ...]


def plan_shards(jpeg_bytes: Int64[np.ndarray, " n"], *, target_bytes: float) -> list[slice]:
    """Split samples, in their order, into shards of about `target_bytes`.

    Only the sizes of the JPEGs are counted; the records beside them add a few percent.
    """
    before = np.concatenate([[0], np.cumsum(BLOCK + padded(jpeg_bytes))[:-1]])
    _, starts = np.unique(before // target_bytes, return_index=True)
    return [slice(int(start), int(stop)) for start, stop in zip(starts, [*starts[1:], len(jpeg_bytes)], strict=True)]


def _member(name: str, content: bytes) -> tuple[bytes, bytes, bytes]:
    """Header, content and padding of a file in a tar; the header has no time and no owner."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT), content, bytes(padded(len(content)) - len(content))


def _read_jpeg(path: Path, record: ImageRecord) -> bytes:
    try:
        jpeg = path.read_bytes()
    except OSError as error:
        raise DeepmarkError(f"{path}: cannot be read ({error.strerror}). Run `deepmark ingest` again.") from None
    if hashlib.sha256(jpeg).hexdigest() != record.sha256:
        raise DeepmarkError(f"{path}: has changed since it was ingested. Run `deepmark ingest` again.")
    return jpeg


def _write_shard(plan: ShardPlan, *, raw: Path, folder: Path) -> Shard:
    samples = Samples(key=[], offset=[], length=[], jpeg_bytes=[], json_bytes=[], xxh3_64=[])
    digest, end = hashlib.sha256(), 0
    with (folder / plan.file).open("wb") as shard:
        for record in plan.records:
            key = f"{record.id:06d}"
            jpeg, text = _read_jpeg(raw / record.file, record), record_to_json(record)
            span = b"".join(_member(f"{key}.jpg", jpeg) + _member(f"{key}.json", text))
            samples.key.append(key)
            samples.offset.append(end)
            samples.length.append(len(span))
            samples.jpeg_bytes.append(len(jpeg))
            samples.json_bytes.append(len(text))
            samples.xxh3_64.append(xxhash.xxh3_64_hexdigest(span))
            shard.write(span)
            digest.update(span)
            end += len(span)
        shard.write(bytes(END))
        digest.update(bytes(END))
    return Shard(file=plan.file, count=len(plan.records), bytes=end + END, sha256=digest.hexdigest(), samples=samples)


def _plans(records_file: Path, *, split: str, seed: int, target_mib: float) -> Iterator[ShardPlan]:
    # All records as an Arrow table: about 0.6 GB for the whole of DeepFashion2. They become objects shard by shard.
    table = pa.Table.from_batches(read_batches(records_file), SCHEMA)
    if not table.num_rows:
        raise DeepmarkError(f"{records_file}: holds no record. Run `deepmark ingest` on a folder with images.")
    order = permutation(table.num_rows, seed)
    sizes = table["bytes"].to_numpy()[order]
    cuts = plan_shards(sizes, target_bytes=target_mib * 2**20)

    def plans() -> Iterator[ShardPlan]:
        for number, cut in enumerate(cuts):
            rows = table.take(order[cut]).combine_chunks().to_batches()
            records = tuple(record for batch in rows for record in records_from_batch(batch))
            yield ShardPlan(file=f"{split}-{number:06d}.tar", records=records)

    return plans()


def write_shards(
    records_file: Path,
    raw: Path,
    out: Path,
    *,
    split: str,
    seed: int,
    target_mib: float,
    engine: Engine | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, int]:
    """Write the shards of a split and their index into the folder `out`, all of them or none.

    `raw` is the folder of the raw data, with a folder for each split. The bytes are the same by any engine (None: one
    process per core). `progress` is called with the number of further samples that are done. Returns the number of
    samples, shards and bytes.

    Raises DeepmarkError where there are no records, and where an image is missing or has changed since ingest.
    """
    plans = _plans(records_file, split=split, seed=seed, target_mib=target_mib)
    with open_records(records_file) as file:
        require_space(out, sum(file.read(columns=["bytes"]).column("bytes").to_pylist()))
    shards: list[Shard] = []
    with new_folder(out) as folder:
        write = partial(_write_shard, raw=raw / split, folder=folder)
        with closing((engine or Local()).map_in_order(write, plans)) as written:
            for shard in written:
                shards.append(shard)
                progress(shard.count)
        index = ShardIndex(split=split, seed=seed, target_mib=target_mib, shards=tuple(shards))
        write_index(folder / INDEX_FILE, index)
    return {
        "samples": sum(shard.count for shard in shards),
        "shards": len(shards),
        "bytes": sum(shard.bytes for shard in shards),
    }
