"""Ingest and shard with records that pass through the driver: what `scale.py` compares ours with."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pyarrow as pa

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import list_inputs
from deepmark.data.ingest.statistics import SplitStatistics
from deepmark.data.ingest.validate import Input, validate_input
from deepmark.data.records import SCHEMA, read_batches, records_from_batch, write_records
from deepmark.data.sampling import permutation
from deepmark.data.shards.plan import cut_shards
from deepmark.data.shards.writer import write_members
from deepmark.types import ImageRecord
from deepmark.vocabulary import DEEPFASHION2

CHUNK = 64
MEGAPIXELS = 50
MIB = 64


def plain_ingest(folder: Path, workers: int) -> None:
    inputs, statistics = list_inputs(folder / "raw/train"), SplitStatistics(vocabulary=DEEPFASHION2)
    chunks = [inputs[start : start + CHUNK] for start in range(0, len(inputs), CHUNK)]

    def records() -> Iterator[ImageRecord]:
        for part in validated:
            for record in part:
                statistics.add(record)
                yield record

    with closing(Local(workers).map_in_order(partial(_validate, folder=folder / "raw/train"), chunks)) as validated:
        write_records(folder / "plain/train.parquet", records(), vocabulary=DEEPFASHION2)


def _validate(inputs: list[Input], folder: Path) -> list[ImageRecord]:
    results = [validate_input(given, folder, max_megapixels=MEGAPIXELS, vocabulary=DEEPFASHION2) for given in inputs]
    return [result[0] for result in results if isinstance(result, tuple)]


def plain_shard(folder: Path, workers: int) -> None:
    table = pa.Table.from_batches(read_batches(folder / "ours/train.parquet"), SCHEMA)
    order = permutation(table.num_rows, 1)
    cuts = cut_shards(table["bytes"].to_numpy()[order], target_bytes=MIB * 2**20)
    (folder / "plain/shards").mkdir(parents=True)

    def plans() -> Iterator[tuple[Path, list[ImageRecord]]]:
        for number, cut in enumerate(cuts):
            rows = table.take(order[cut]).combine_chunks().to_batches()
            records = [record for batch in rows for record in records_from_batch(batch)]
            yield folder / f"plain/shards/train-{number:06d}.tar", records

    with closing(Local(workers).map_in_order(partial(_write, raw=folder / "raw/train"), plans())) as written:
        for _ in written:
            pass


def _write(plan: tuple[Path, list[ImageRecord]], raw: Path) -> object:
    with plan[0].open("wb") as file:
        return write_members(file.write, plan[0].name, plan[1], raw)
