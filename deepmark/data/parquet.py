"""Parquet files that tell damage: each page has a checksum, and the whole file a digest, checked when it is opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from deepmark.digests import NO_DIGEST, check_digest, new_file_with_digest
from deepmark.errors import DeepmarkError
from deepmark.vocabulary import Vocabulary, restored_vocabulary, stored_vocabulary

_VOCABULARY = "vocabulary"


@contextmanager
def parquet_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer of a new file, which replaces an old one when the block succeeds."""
    with (
        new_file_with_digest(path) as draft,
        pq.ParquetWriter(draft, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        yield writer
        writer.add_key_value_metadata({"digest": NO_DIGEST})


def write_table(path: Path, table: pa.Table) -> None:
    """Write a whole table, or nothing."""
    with parquet_writer(path, table.schema) as writer:
        writer.write_table(table)


def open_parquet(path: Path, maker: str, *, remedy: str | None = None) -> pq.ParquetFile:
    """The opened file, whose digest is right, if it has one; checksums of pages are verified as they are read.

    Raises DeepmarkError, naming `maker`, the command that makes the file, where it is missing, damaged or not Parquet;
    `remedy` says what to do about damage where running that command again does not help.
    """
    try:
        check_digest(path, remedy or f"Run `{maker}` again.")
        return pq.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise DeepmarkError(f"{path}: no such file. `{maker}` makes it.") from None
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, maker, error, remedy) from None


@contextmanager
def told_as_damage(path: Path, maker: str, *, remedy: str | None = None) -> Iterator[None]:
    """Turn errors of Arrow about pages of a file into a DeepmarkError that names `maker`, or the remedy."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, maker, error, remedy) from None


def iter_batches(file: pq.ParquetFile, rows: int) -> Iterator[pa.RecordBatch]:
    """The rows in batches of at most so many, a row group after the other.

    One iterator of Arrow over all row groups would hold all that it has read, in the end the whole file.
    """
    for group in range(file.num_row_groups):
        yield from file.iter_batches(batch_size=rows, row_groups=[group])


def read_table(path: Path, maker: str, *, remedy: str | None = None) -> pa.Table:
    """A whole file; raises DeepmarkError as `open_parquet` does."""
    with open_parquet(path, maker, remedy=remedy) as file, told_as_damage(path, maker, remedy=remedy):
        return file.read()


def with_vocabulary(schema: pa.Schema, vocabulary: Vocabulary) -> pa.Schema:
    """The schema of a file that was made for a vocabulary, which is in its metadata unless it is the built-in one."""
    stored = stored_vocabulary(vocabulary)
    return schema if stored is None else schema.with_metadata({**(schema.metadata or {}), _VOCABULARY: stored})


def vocabulary_of(schema: pa.Schema, where: object) -> Vocabulary:
    """The vocabulary that a file or table with this schema was made for; raises DeepmarkError where it is damaged."""
    return restored_vocabulary((schema.metadata or {}).get(_VOCABULARY.encode()), where)


def _damaged(path: Path, maker: str, error: Exception, remedy: str | None) -> DeepmarkError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return DeepmarkError(f"{path}: damaged, or not Parquet ({reason}). {remedy or f'Run `{maker}` again.'}")
