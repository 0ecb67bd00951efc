"""Parquet files: whichever bit flips, it is told."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepmark.data.parquet import parquet_writer, read_table, write_table
from deepmark.errors import DeepmarkError

TABLE = pa.table({"id": range(500), "name": [f"n{i}" for i in range(500)]}).replace_schema_metadata({"kind": "test"})


def test_a_table_comes_back_with_its_metadata(tmp_path):
    write_table(tmp_path / "a.parquet", TABLE)
    found = read_table(tmp_path / "a.parquet", "make it")

    assert found.equals(TABLE)
    assert found.schema.metadata[b"kind"] == b"test"


def test_any_reader_of_parquet_reads_it(tmp_path):
    write_table(tmp_path / "a.parquet", TABLE)

    assert pq.read_table(tmp_path / "a.parquet").equals(TABLE)


def test_metadata_that_is_added_while_it_is_written_is_kept(tmp_path):
    with parquet_writer(tmp_path / "a.parquet", TABLE.schema) as writer:
        writer.write_table(TABLE)
        writer.add_key_value_metadata({"facts": "7"})

    assert pq.read_metadata(tmp_path / "a.parquet").metadata[b"facts"] == b"7"
    assert read_table(tmp_path / "a.parquet", "make it").equals(TABLE)


def test_one_flipped_bit_is_told_with_the_command_to_run(tmp_path):
    file, chance = tmp_path / "a.parquet", random.Random(1)
    write_table(file, TABLE)
    whole = file.read_bytes()
    told = 0
    for _ in range(300):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        try:
            assert read_table(file, "deepmark audit").equals(TABLE)
        except DeepmarkError as error:
            told += f"{file}: damaged" in str(error) and "Run `deepmark audit` again." in str(error)

    assert told > 290


def test_a_file_of_an_earlier_release_is_read(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet")

    assert read_table(tmp_path / "a.parquet", "make it").equals(TABLE)


def test_what_is_missing_or_no_parquet_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(DeepmarkError, match=r"a\.parquet: no such file\. `make it` makes it\."):
        read_table(tmp_path / "a.parquet", "make it")
    (tmp_path / "a.parquet").write_text("text")
    with pytest.raises(DeepmarkError, match=r"a\.parquet: damaged, or not Parquet .*Run `make it` again\."):
        read_table(tmp_path / "a.parquet", "make it")
