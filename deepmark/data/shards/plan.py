"""Which record goes into which shard, and the way of the records to the processes that write shards.

The plan needs of every record its place and the size of its JPEG, 40 bytes at most. The records themselves are unpacked
once from Parquet into Arrow files that are mapped, not read: a process looks at the rows of its shard and at no others.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deepmark.data.parquet import told_as_damage, vocabulary_of
from deepmark.data.records import SCHEMA, maker_of, open_records, records_from_batch
from deepmark.data.sampling import permutation
from deepmark.data.shards.index import BLOCK, padded
from deepmark.errors import DeepmarkError
from deepmark.files import unique_file
from deepmark.shapes import Int32, Int64
from deepmark.types import ImageRecord
from deepmark.vocabulary import Vocabulary

_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of the golden ratio, without their whole part, lie evenly in 0..1, however many they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardPlan:
    """A shard to be written."""

    number: int
    file: str
    groups: Int32[np.ndarray, " n"]
    """The row group of each of its records in the file of records."""

    rows: Int32[np.ndarray, " n"]
    """The row in that group."""

    bytes: int
    """Of its JPEGs."""


def cut_shards(jpeg_bytes: Int64[np.ndarray, " n"], *, target_bytes: float) -> list[slice]:
    """Split samples, in their order, into shards of about `target_bytes`.

    Only the sizes of the JPEGs are counted; the records beside them add a few percent.
    """
    before = np.concatenate([[0], np.cumsum(BLOCK + padded(jpeg_bytes))[:-1]])
    _, starts = np.unique(before // target_bytes, return_index=True)
    return [slice(int(start), int(stop)) for start, stop in zip(starts, [*starts[1:], len(jpeg_bytes)], strict=True)]


def plan_shards(records_file: Path, *, split: str, seed: int, target_mib: float) -> tuple[list[ShardPlan], Vocabulary]:
    """The shards of a split in their order, and the vocabulary of its records.

    Raises DeepmarkError where the file cannot be read or holds no record.
    """
    with open_records(records_file) as file, told_as_damage(records_file, maker_of(records_file)):
        lengths = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        vocabulary = vocabulary_of(file.schema_arrow, records_file)
        sizes = file.read(columns=["bytes"]).column("bytes").to_numpy()
    if not sizes.size:
        raise DeepmarkError(f"{records_file}: holds no record. Run `deepmark ingest` on a folder with images.")
    starts = np.cumsum([0, *lengths[:-1]])
    order = permutation(len(sizes), seed)
    sizes = sizes[order]
    plans = []
    for number, cut in enumerate(cut_shards(sizes, target_bytes=target_mib * 2**20)):
        groups = np.searchsorted(starts, order[cut], "right") - 1
        plans.append(
            ShardPlan(
                number=number,
                file=f"{split}-{number:06d}.tar",
                groups=groups.astype(np.int32),
                rows=(order[cut] - starts[groups]).astype(np.int32),
                bytes=int(sizes[cut].sum()),
            )
        )
    return plans, vocabulary


def planned_records(plan: ShardPlan, records_file: Path, folder: Path) -> list[ImageRecord]:
    """The records of a shard in their order.

    `folder` is one for all shards: it keeps the row groups that have been unpacked. Several processes that begin at
    once unpack different groups first, and each of them few in the end.

    Raises DeepmarkError where a page of the file is damaged.
    """
    groups = np.unique(plan.groups)
    records: dict[int, ImageRecord] = {}
    for group in np.roll(groups, -int(plan.number * _GOLDEN % 1 * len(groups))):
        places = np.flatnonzero(plan.groups == group)
        unpacked = folder / f"{group:06d}.arrow"
        if not unpacked.exists():
            _unpack(records_file, int(group), unpacked)
        with pa.memory_map(str(unpacked)) as file:
            batch = pa.ipc.open_file(file).get_batch(0).take(pa.array(plan.rows[places]))
        records.update(zip(places.tolist(), records_from_batch(batch), strict=True))
    return [records[place] for place in range(len(plan.rows))]


def _unpack(records_file: Path, group: int, path: Path) -> None:
    # The digest of the file has been compared by `plan_shards`, and each page has a checksum.
    with (
        told_as_damage(records_file, maker_of(records_file)),
        pq.ParquetFile(records_file, page_checksum_verification=True) as file,
    ):
        (batch,) = file.read_row_group(group).combine_chunks().to_batches()
    with unique_file(path) as out, pa.ipc.new_file(out, SCHEMA) as writer:
        writer.write_batch(batch)
