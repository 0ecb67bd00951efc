"""Reads and writes predictions as Parquet: one row per image, no loss of digits, how they were made in the metadata."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from deepmark.errors import DeepmarkError, as_path
from deepmark.schema import STRATEGIES, Kind
from deepmark.types import Detections, Prediction, Rows
from deepmark.vocabulary import Vocabulary, check_same

ROWS = 512
"""Images in a row group: about 20 MB in memory at 100 detections per image."""

_LANDMARK = pa.struct([("x", pa.float32()), ("y", pa.float32()), ("score", pa.float32())])

_DETECTION = pa.struct(
    [
        ("category", pa.int8()),
        ("score", pa.float32()),
        ("box", pa.list_(pa.float32(), 4)),
        ("landmarks", pa.list_(_LANDMARK)),
    ]
)
"""Fields as in types.Detections; categories are indices in the vocabulary, landmarks those of the category alone."""

_KIND = "predictions, version 1"

_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("image_id", pa.int64()),
    ("file", pa.string()),
    ("detections", pa.list_(_DETECTION)),
]

SCHEMA = pa.schema(_COLUMNS, metadata={"deepmark": _KIND})

_RESCORED_DETECTION = pa.struct([*_DETECTION, pa.field("pose_score", pa.float32())])
"""With the score of the landmarks, last."""

RESCORED_SCHEMA = SCHEMA.set(2, pa.field("detections", pa.list_(_RESCORED_DETECTION)))
"""Of predictions with pose scores: those of `predict.rescore`."""


def write_predictions(path: Path, predictions: Iterable[tuple[int, str, Detections]], facts: Mapping[str, str]) -> int:
    """Write the predictions as they come, whole or not at all; returns the number of images.

    `facts` say how they were made (strategy, checkpoint …). Raises DeepmarkError where the detections are not all of
    one vocabulary.
    """
    return write_prediction_tables(path, _tables(iter(predictions)), facts)


def _tables(predictions: Iterator[tuple[int, str, Detections]]) -> Iterator[pa.Table]:
    schema = None  # that of the first
    while part := list(islice(predictions, ROWS)):
        table = to_table(part, schema)
        schema = table.schema
        yield table


def write_prediction_tables(path: Path, tables: Iterable[pa.Table], facts: Mapping[str, str]) -> int:
    """As `write_predictions`, of tables that `to_table` made; each becomes a row group."""
    rows, count = iter(tables), 0
    first = next(rows, None)
    with parquet_writer(path, SCHEMA if first is None else first.schema) as file:
        for table in chain([] if first is None else [first], rows):
            file.write_table(table)
            count += len(table)
        file.add_key_value_metadata({"facts": json.dumps(dict(facts), sort_keys=True)})
    return count


def read_predictions(path: str | PathLike[str]) -> tuple[Rows[Prediction], dict[str, str]]:
    """The predictions with their vocabulary, read as they are consumed, and the facts about how they were made.

    Raises DeepmarkError where the file is missing or holds something else, and, perhaps only after some predictions,
    where it is damaged.
    """
    path = as_path(path, "read_predictions: path")
    file, facts = _opened(path)
    return Rows(_rows(path, file), vocabulary_of(file.schema_arrow, path)), facts


def prediction_facts(path: Path) -> tuple[dict[str, str], int]:
    """How predictions were made, and the number of images; raises DeepmarkError as `read_predictions` does."""
    file, facts = _opened(path)
    with file:
        return facts, file.metadata.num_rows


def _opened(path: Path) -> tuple[pq.ParquetFile, dict[str, str]]:
    maker = _maker(path)
    file = open_parquet(path, maker)
    metadata = file.metadata.metadata or {}
    if metadata.get(b"deepmark") != _KIND.encode() or file.schema_arrow not in (SCHEMA, RESCORED_SCHEMA):
        kind = metadata.get(b"deepmark", b"something else").decode(errors="replace")
        raise DeepmarkError(
            f"{path}: expected {_KIND}, found {kind}. Give the file that `deepmark predict` wrote, or write it again."
        )
    try:
        return file, {str(name): str(value) for name, value in json.loads(metadata[b"facts"]).items()}
    except (KeyError, ValueError, AttributeError) as error:
        raise DeepmarkError(f"{path}: damaged: its facts cannot be read ({error}). Run `{maker}` again.") from None


def _maker(path: Path) -> str:
    return f"deepmark predict --strategy {path.stem if path.stem in STRATEGIES else '…'}"


def _rows(path: Path, file: pq.ParquetFile) -> Iterator[Prediction]:
    with file, told_as_damage(path, _maker(path)):
        vocabulary = vocabulary_of(file.schema_arrow, path)
        for batch in iter_batches(file, ROWS):
            yield from from_batch(batch, vocabulary)


def _lists(lengths: np.ndarray, values: Any) -> Any:
    """`values`, an Arrow array, split into lists of these lengths."""
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(lengths)), pa.int32()), values)


def to_table(predictions: Sequence[tuple[int, str, Detections]], schema: pa.Schema | None = None) -> pa.Table:
    """The predictions as Arrow: some 21 KB for an image of 100 detections, half of what arrays take.

    The schema is, where none is given, RESCORED_SCHEMA if any of them has pose scores, else SCHEMA, with the vocabulary
    of the first. Raises DeepmarkError where another has another.
    """
    if not predictions:
        return (schema or SCHEMA).empty_table()
    ids, files, detections = zip(*predictions, strict=True)
    if schema is None:
        kind = RESCORED_SCHEMA if any(each.pose_scores is not None for each in detections) else SCHEMA
        schema = with_vocabulary(kind, detections[0].vocabulary)
    vocabulary = vocabulary_of(schema, "a table of predictions")
    for file, each in zip(files, detections, strict=True):
        check_same(each.vocabulary, file, vocabulary, "another image", "Write predictions of one model to a file.")
    categories = np.concatenate([each.categories for each in detections])
    own = vocabulary.own_landmarks[categories]
    points = np.concatenate([each.landmarks for each in detections])[own]
    scores = np.concatenate([each.landmark_scores for each in detections])[own]
    landmarks = pa.StructArray.from_arrays(
        [pa.array(column) for column in (points[:, 0], points[:, 1], scores)], fields=list(_LANDMARK)
    )
    columns = [
        pa.array(categories, pa.int8()),
        pa.array(np.concatenate([each.scores for each in detections])),
        pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate([each.boxes for each in detections]).ravel()), 4),
        _lists(own.sum(axis=1), landmarks),
    ]
    if schema == RESCORED_SCHEMA:
        columns.append(pa.array(np.concatenate([each.scores_of(Kind.KEYPOINTS) for each in detections])))
    structs = pa.StructArray.from_arrays(columns, fields=list(schema.field("detections").type.value_type))
    lengths = np.array([len(each) for each in detections])
    return pa.table([pa.array(ids, pa.int64()), pa.array(files), _lists(lengths, structs)], schema=schema)


def from_batch(batch: pa.RecordBatch, vocabulary: Vocabulary | None = None) -> Iterator[Prediction]:
    """The predictions in a batch of rows of a table of `to_table`; None: of the vocabulary that its schema has."""
    vocabulary = vocabulary or vocabulary_of(batch.schema, "a table of predictions")
    lists: Any = batch.column("detections")
    category, score, box, landmarks, *pose_score = lists.flatten().flatten()
    categories = category.to_numpy().astype(np.int64)
    x, y, landmark_score = (column.to_numpy() for column in landmarks.flatten().flatten())
    own = vocabulary.own_landmarks[categories]
    points, landmark_scores = np.zeros((*own.shape, 2), np.float32), np.zeros(own.shape, np.float32)
    points[own], landmark_scores[own] = np.stack([x, y], axis=1), landmark_score
    detections = Detections(
        boxes=box.flatten().to_numpy().reshape(-1, 4),
        scores=score.to_numpy(),
        categories=categories,
        landmarks=points,
        landmark_scores=landmark_scores,
        pose_scores=pose_score[0].to_numpy() if pose_score else None,
        vocabulary=vocabulary,
    )
    offsets = lists.offsets.to_numpy()
    names: Any = zip(batch.column("image_id").to_pylist(), batch.column("file").to_pylist(), strict=True)
    for (image_id, file), (start, stop) in zip(names, pairwise(offsets - offsets[0]), strict=True):
        yield Prediction(image_id, file, detections[start:stop])
