"""Writes records and their images into WebDataset shards: {key}.jpg is the original file, {key}.json the record.

The content of every shard depends on the records and the seed alone, so any number of processes writes the same bytes.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import xxhash

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.data.shards.index import END, INDEX_FILE, Samples, Shard, ShardIndex, padded, write_index
from deepmark.data.shards.plan import ShardPlan, plan_shards, planned_records
from deepmark.data.shards.record_json import record_to_json
from deepmark.data.shards.remote import RemoteFolder
from deepmark.data.shards.upload import Fill, Upload, plan_digest
from deepmark.errors import DeepmarkError
from deepmark.files import UNFINISHED, new_folder, require_space, scratch_folder, unique_file
from deepmark.types import ImageRecord


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


def write_members(write: Callable[[bytes], object], name: str, records: Iterable[ImageRecord], raw: Path) -> Shard:
    """Write the tar of these records in their order, part by part, by `write`; `raw` is the folder of the split.

    Raises DeepmarkError where an image is missing or has changed since ingest.
    """
    samples = Samples(key=[], offset=[], length=[], jpeg_bytes=[], json_bytes=[], xxh3_64=[])
    digest, end = hashlib.sha256(), 0
    for record in records:
        key = f"{record.id:06d}"
        jpeg, text = _read_jpeg(raw / record.file, record), record_to_json(record)
        span = b"".join(_member(f"{key}.jpg", jpeg) + _member(f"{key}.json", text))
        samples.key.append(key)
        samples.offset.append(end)
        samples.length.append(len(span))
        samples.jpeg_bytes.append(len(jpeg))
        samples.json_bytes.append(len(text))
        samples.xxh3_64.append(xxhash.xxh3_64_hexdigest(span))
        write(span)
        digest.update(span)
        end += len(span)
    write(bytes(END))
    digest.update(bytes(END))
    return Shard(file=name, count=len(samples.key), bytes=end + END, sha256=digest.hexdigest(), samples=samples)


@dataclass(frozen=True)
class _Draft:
    """A local folder that takes its place when all shards are in it."""

    folder: Path

    def put(self, file: str, fill: Fill) -> Shard:
        with unique_file(self.folder / file) as shard:
            return fill(shard.write)

    def finish(self, index: ShardIndex) -> None:
        for left in self.folder.glob(f"*{UNFINISHED}"):  # by a machine that was lost
            left.unlink()
        write_index(self.folder / INDEX_FILE, index)


@contextmanager
def _place(out: Path | RemoteFolder, plan: str, needed: int) -> Iterator[_Draft | Upload]:
    if isinstance(out, RemoteFolder):
        upload = Upload(folder=out, plan=plan)
        upload.begin()
        yield upload
    else:
        require_space(out, needed)
        with new_folder(out) as draft:
            yield _Draft(draft)


def _write_shard(plan: ShardPlan, *, raw: Path, records_file: Path, unpacked: Path, place: _Draft | Upload) -> Shard:
    def fill(write: Callable[[bytes], object]) -> Shard:
        return write_members(write, plan.file, planned_records(plan, records_file, unpacked), raw)

    return place.put(plan.file, fill)


def write_shards(
    records_file: Path,
    raw: Path,
    out: Path | RemoteFolder,
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

    On other storage the index comes last, and what an earlier call has written there is not written again (`upload`).

    Raises DeepmarkError where there are no records, where an image is missing or has changed since ingest, and where
    the storage fails.
    """
    plans, vocabulary = plan_shards(records_file, split=split, seed=seed, target_mib=target_mib)
    digest = plan_digest(records_file, split=split, seed=seed, target_mib=target_mib)
    shards: list[Shard] = []
    with _place(out, digest, sum(plan.bytes for plan in plans)) as place, scratch_folder(records_file) as unpacked:
        write = partial(_write_shard, raw=raw / split, records_file=records_file, unpacked=unpacked, place=place)
        with closing((engine or Local()).map_in_order(write, plans)) as written:
            for shard in written:
                shards.append(shard)
                progress(shard.count)
        place.finish(
            ShardIndex(split=split, seed=seed, target_mib=target_mib, shards=tuple(shards), vocabulary=vocabulary)
        )
    return {
        "samples": sum(shard.count for shard in shards),
        "shards": len(shards),
        "bytes": sum(shard.bytes for shard in shards),
    }
