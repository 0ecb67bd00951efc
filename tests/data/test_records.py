import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_dataset import same

from deepmark.data import records as module
from deepmark.data.parquet import parquet_writer
from deepmark.data.records import (
    ROWS,
    SCHEMA,
    pack_batch,
    read_records,
    records_to_batch,
    unpack_batch,
    write_batches,
    write_records,
)
from deepmark.data.shards.record_json import record_from_json, record_to_json
from deepmark.errors import DeepmarkError
from deepmark.types import Garment, ImageRecord
from deepmark.vocabulary import DEEPFASHION2


def make_record(number: int) -> ImageRecord:
    """A record of 0 to 3 garments with awkward numbers."""
    rng = np.random.default_rng(number)
    garments = []
    for i in range(number % 4):
        category = DEEPFASHION2.categories[(number + i) % 13]
        landmarks = rng.random((category.landmarks, 3)) * 1000 / 3
        landmarks[:, 2] = rng.integers(0, 3, category.landmarks)
        garments.append(
            Garment(
                item=f"item{i + 1}",
                category=category.index,
                style=int(rng.integers(2**62)),
                box=rng.random(4) * 1e3,
                landmarks=landmarks,
                polygons=tuple(rng.random((3 + p, 2)) * 500 for p in range(i)),
                scale=1 + i % 3,
                occlusion=2,
                zoom_in=3,
                viewpoint=1,
            )
        )
    return ImageRecord(
        id=number,
        file=f"image/{number:06d}.jpg",
        sha256=hashlib.sha256(bytes([number % 256])).hexdigest(),
        bytes=10**9 + number,
        width=60,
        height=80,
        source="user",
        pair_id=-number,
        garments=tuple(garments),
    )


def test_records_are_read_back_bit_for_bit(tmp_path):
    records = [make_record(number) for number in range(40)]
    write_records(tmp_path / "r.parquet", records, vocabulary=DEEPFASHION2)

    back = list(read_records(tmp_path / "r.parquet"))

    assert same(tuple(records), tuple(back))


@pytest.mark.parametrize("size", [1, 7, 16, 100])
def test_batches_of_any_size_write_the_bytes_of_whole_row_groups(tmp_path, monkeypatch, size):
    monkeypatch.setattr(module, "ROWS", 16)
    records = [make_record(number) for number in range(40)]
    with parquet_writer(tmp_path / "whole.parquet", SCHEMA) as writer:
        for start in range(0, 40, 16):
            writer.write_table(pa.Table.from_batches([records_to_batch(records[start : start + 16])]))

    parts = (pack_batch(records_to_batch(records[start : start + size])) for start in range(0, 40, size))
    write_batches(tmp_path / "parts.parquet", map(unpack_batch, parts), vocabulary=DEEPFASHION2)

    assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.slow
def test_records_of_several_row_groups_are_read_back_in_order(tmp_path):
    record = make_record(2)
    write_records(tmp_path / "r.parquet", (record for _ in range(2 * ROWS + 3)), vocabulary=DEEPFASHION2)

    assert pq.ParquetFile(tmp_path / "r.parquet").num_row_groups == 3
    assert all(same(record, back) for back in read_records(tmp_path / "r.parquet"))


def test_a_file_may_hold_no_records(tmp_path):
    write_records(tmp_path / "r.parquet", [], vocabulary=DEEPFASHION2)

    assert list(read_records(tmp_path / "r.parquet")) == []


def test_the_columns_have_the_names_and_types_that_are_declared(tmp_path):
    write_records(tmp_path / "r.parquet", [make_record(3)], vocabulary=DEEPFASHION2)

    assert pq.read_schema(tmp_path / "r.parquet").equals(SCHEMA, check_metadata=True)


def test_a_plain_reader_of_parquet_sees_nested_garments(tmp_path):
    record = make_record(3)
    write_records(tmp_path / "r.parquet", [record], vocabulary=DEEPFASHION2)

    (row,) = pq.read_table(tmp_path / "r.parquet").to_pylist()

    assert row["garments"][1]["box"] == record.garments[1].box.tolist()
    assert [tuple(point.values()) for point in row["garments"][1]["landmarks"]] == [
        tuple(point) for point in record.garments[1].landmarks.tolist()
    ]


def test_arrays_of_a_record_may_be_written_to(tmp_path):
    write_records(tmp_path / "r.parquet", [make_record(3)], vocabulary=DEEPFASHION2)

    (record,) = read_records(tmp_path / "r.parquet")

    assert record.garments[0].box.flags.writeable
    assert record.garments[0].landmarks.flags.writeable


def test_writing_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "r.parquet"
    write_records(path, [make_record(1)], vocabulary=DEEPFASHION2)
    before = path.read_bytes()

    def failing():
        yield make_record(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(path, failing(), vocabulary=DEEPFASHION2)

    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["r.parquet"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a table at all, but text", bytes(5000)])
def test_a_file_that_is_not_parquet_is_refused(tmp_path, content):
    (tmp_path / "r.parquet").write_bytes(content)

    with pytest.raises(DeepmarkError, match=r"r\.parquet: .*deepmark ingest"):
        list(read_records(tmp_path / "r.parquet"))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DeepmarkError, match=r"r\.parquet: no such file.*deepmark ingest"):
        list(read_records(tmp_path / "r.parquet"))


def test_a_parquet_of_something_else_is_refused(tmp_path):
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "r.parquet")

    with pytest.raises(DeepmarkError, match="does not hold records"):
        list(read_records(tmp_path / "r.parquet"))


def test_a_flipped_byte_in_a_column_is_noticed(tmp_path):
    path = tmp_path / "r.parquet"
    write_records(path, [make_record(number) for number in range(40)], vocabulary=DEEPFASHION2)
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(0)
    data[column.data_page_offset + column.total_compressed_size - 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(DeepmarkError, match=r"r\.parquet: damaged"):
        list(read_records(path))


def test_a_record_is_the_same_after_json_and_its_json_is_the_same_after_that():
    for number in range(20):
        text = record_to_json(make_record(number))

        back = record_from_json(text)

        assert same(make_record(number), back)
        assert record_to_json(back) == text
