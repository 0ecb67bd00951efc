"""Reads and writes the records of a split as a Parquet file: one row per image, with its garments nested.

Columns are converted as NumPy arrays; conversion row by row would take ten times as long.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice, pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deepmark.data.parquet import (
    iter_batches,
    open_parquet,
    parquet_writer,
    told_as_damage,
    vocabulary_of,
    with_vocabulary,
)
from deepmark.data.record_fields import PLAIN_GARMENT, PLAIN_RECORD
from deepmark.errors import DeepmarkError, as_path
from deepmark.schema import SPLITS
from deepmark.types import Garment, ImageRecord, Rows
from deepmark.vocabulary import Vocabulary

ROWS = 4096
"""Images in a row group: about 12 MB in memory."""


def _list_of(kind: pa.DataType) -> pa.ListType:
    return pa.list_(pa.field("element", kind))  # the name that Parquet's specification gives it


_POINT = pa.struct([("x", pa.float64()), ("y", pa.float64())])
_LANDMARK = pa.struct([("x", pa.float64()), ("y", pa.float64()), ("v", pa.int8())])

GARMENT = pa.struct(
    [
        ("item", pa.string()),
        ("category", pa.int8()),
        ("style", pa.int64()),
        ("scale", pa.int8()),
        ("occlusion", pa.int8()),
        ("zoom_in", pa.int8()),
        ("viewpoint", pa.int8()),
        ("box", pa.list_(pa.field("element", pa.float64()), 4)),
        ("landmarks", _list_of(_LANDMARK)),
        ("polygons", _list_of(_list_of(_POINT))),
    ]
)
"""Fields as in types.Garment; categories are indices in the vocabulary, of which there are 127 at most."""

_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("id", pa.int64()),
    ("file", pa.string()),
    ("sha256", pa.string()),
    ("bytes", pa.int64()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("source", pa.string()),
    ("pair_id", pa.int64()),
    ("garments", _list_of(GARMENT)),
]

_KIND = "records, version 1"

SCHEMA = pa.schema(_COLUMNS, metadata={"deepmark": _KIND})
"""Fields as in types.ImageRecord."""

Column = Any
"""An Arrow array of lists or structs; mypy cannot tell which."""


def _lists(parts: Iterable[Sized], values: Column) -> Column:
    """`values` split into lists of the lengths of `parts`."""
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=_list_of(values.type))


def _structs(rows: Sequence[np.ndarray], kind: pa.StructType) -> Column:
    """The rows of all arrays as structs, whose fields are the columns."""
    table = np.concatenate([np.empty((0, kind.num_fields)), *rows])
    columns = [pa.array(table[:, i].astype(field.type.to_pandas_dtype())) for i, field in enumerate(kind)]
    return pa.StructArray.from_arrays(columns, fields=list(kind))


def _garments_to_arrow(garments: Sequence[Garment]) -> Column:
    polygons = list(chain.from_iterable(garment.polygons for garment in garments))
    boxes = np.concatenate([np.empty(0), *(garment.box for garment in garments)])
    landmarks = [garment.landmarks for garment in garments]
    columns = {
        "box": pa.FixedSizeListArray.from_arrays(pa.array(boxes), type=GARMENT.field("box").type),
        "landmarks": _lists(landmarks, _structs(landmarks, _LANDMARK)),
        "polygons": _lists([garment.polygons for garment in garments], _lists(polygons, _structs(polygons, _POINT))),
    }
    for name in PLAIN_GARMENT:
        columns[name] = pa.array([getattr(garment, name) for garment in garments], GARMENT.field(name).type)
    return pa.StructArray.from_arrays([columns[field.name] for field in GARMENT], fields=list(GARMENT))


def records_to_batch(records: Sequence[ImageRecord]) -> pa.RecordBatch:
    """The records as rows of the file."""
    garments = [record.garments for record in records]
    columns = {"garments": _lists(garments, _garments_to_arrow(list(chain.from_iterable(garments))))}
    for name in PLAIN_RECORD:
        columns[name] = pa.array([getattr(record, name) for record in records], SCHEMA.field(name).type)
    return pa.record_batch([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _bounds(lists: Column) -> list[tuple[int, int]]:
    """The start and the end of each list in `lists.flatten()`."""
    offsets = lists.offsets.to_numpy()
    return list(pairwise((offsets - offsets[0]).tolist()))


def _rows(structs: Column) -> np.ndarray:
    return np.stack([column.to_numpy().astype(np.float64, copy=False) for column in structs.flatten()], axis=1)


def _garments_from_arrow(structs: Column) -> list[Garment]:
    columns = dict(zip((field.name for field in GARMENT), structs.flatten(), strict=True))
    boxes = columns["box"].flatten().to_numpy().reshape(-1, 4).copy()  # Arrow's own memory is read-only
    landmarks = _rows(columns["landmarks"].flatten())
    lists = columns["polygons"].flatten()
    points = _rows(lists.flatten())
    polygons = [points[start:stop] for start, stop in _bounds(lists)]
    plain = zip(*(columns[name].to_pylist() for name in PLAIN_GARMENT), strict=True)
    return [
        Garment(
            **dict(zip(PLAIN_GARMENT, values, strict=True)),
            box=box,
            landmarks=landmarks[slice(*landmark_bounds)],
            polygons=tuple(polygons[slice(*polygon_bounds)]),
        )
        for values, box, landmark_bounds, polygon_bounds in zip(
            plain, boxes, _bounds(columns["landmarks"]), _bounds(columns["polygons"]), strict=True
        )
    ]


def records_from_batch(batch: pa.RecordBatch) -> Iterator[ImageRecord]:
    """The records in some rows of the file."""
    nested: Column = batch.column("garments")
    garments = _garments_from_arrow(nested.flatten())
    for values, bounds in zip(batch.select(list(PLAIN_RECORD)).to_pylist(), _bounds(nested), strict=True):
        yield ImageRecord(**values, garments=tuple(garments[slice(*bounds)]))


def pack_batch(batch: pa.RecordBatch) -> bytes:
    """The rows as a stream of Arrow, which costs a process that receives it next to nothing to read."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


def unpack_batch(packed: bytes) -> pa.RecordBatch:
    """The rows that `pack_batch` made bytes of."""
    return pa.ipc.open_stream(packed).read_next_batch()


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows, joined or cut into tables of `ROWS` rows, and of fewer in the last."""
    waiting: list[pa.RecordBatch] = []
    missing = ROWS
    for batch in batches:
        while batch.num_rows >= missing:
            yield pa.Table.from_batches([*waiting, batch.slice(0, missing)], SCHEMA)
            batch, waiting, missing = batch.slice(missing), [], ROWS
        if batch.num_rows:
            waiting.append(batch)
            missing -= batch.num_rows
    if waiting:
        yield pa.Table.from_batches(waiting, SCHEMA)


def write_batches(path: Path, batches: Iterable[pa.RecordBatch], vocabulary: Vocabulary) -> None:
    """Write the whole file or nothing: it replaces an old file when the last batch is written.

    How the rows are cut into batches does not change the bytes. A thread encodes them, which is two thirds of what a
    batch costs this process, so that the next batches are received meanwhile.
    """
    written: Future[None] | None = None
    with parquet_writer(path, with_vocabulary(SCHEMA, vocabulary)) as writer, ThreadPoolExecutor(1) as thread:
        for group in _groups(batches):
            if written:
                written.result()
            table = group.combine_chunks()  # chunks would be cut into other pages
            written = thread.submit(writer.write_table, table, row_group_size=ROWS)
        if written:
            written.result()


def write_records(path: Path, records: Iterable[ImageRecord], vocabulary: Vocabulary) -> None:
    """Write the whole file or nothing, as `write_batches`."""
    rest = iter(records)
    write_batches(path, map(records_to_batch, iter(lambda: list(islice(rest, ROWS)), [])), vocabulary)


def open_records(path: Path) -> pq.ParquetFile:
    """The opened file, after a check that it holds records.

    Raises DeepmarkError where it is missing, damaged, not Parquet, or holds something else.
    """
    path = Path(path)
    file = open_parquet(path, maker_of(path))
    metadata = file.metadata.metadata or {}
    if not file.schema_arrow.equals(SCHEMA) or metadata.get(b"deepmark") != _KIND.encode():
        file.close()
        raise DeepmarkError(f"{path}: does not hold records of this DeepMark. Run `{maker_of(path)}` again.")
    return file


def maker_of(path: Path) -> str:
    """The command that makes a file of records."""
    return f"deepmark ingest --split {path.stem}" if path.stem in SPLITS else "deepmark ingest"


def read_batches(path: Path) -> Rows[pa.RecordBatch]:
    """The rows as Arrow batches of a few thousand, with verified checksums, and their vocabulary.

    Raises DeepmarkError as `open_records` does, and, when it comes to it, where a page of the file is damaged.
    """
    path = Path(path)
    file = open_records(path)
    return Rows(_batches(path, file), vocabulary_of(file.schema_arrow, path))


def _batches(path: Path, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    with file, told_as_damage(path, maker_of(path)):
        yield from iter_batches(file, ROWS)


def read_records(path: str | PathLike[str]) -> Rows[ImageRecord]:
    """The records in the order of the file, which is by image id, and its vocabulary.

    A few thousand records are in memory at a time. Raises DeepmarkError where the file is missing or holds something
    else, and, perhaps only after some records, where it is damaged.
    """
    batches = read_batches(as_path(path, "read_records: path"))
    return Rows(chain.from_iterable(map(records_from_batch, batches)), batches.vocabulary)
