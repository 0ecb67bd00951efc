"""Ingest of a tiny raw folder, and the files that it writes."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tiny_dataset import LENIENT, item, write_annotation

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import IngestResult, ingest_split
from deepmark.data.records import read_records
from deepmark.params import IngestParams
from deepmark.types import ImageRecord
from deepmark.vocabulary import DEEPFASHION2


def ingest(
    raw: Path, *, split: str = "train", params: IngestParams = LENIENT, workers: int = 1, **options: Any
) -> IngestResult:
    """Ingest a split of `raw` into the folder `records` beside it; by DeepFashion2's vocabulary, unless options say."""
    options = {"vocabulary": DEEPFASHION2, "engine": Local(workers)} | options
    return ingest_split(raw, split=split, out=raw.parent / "records", params=params, **options)


def records_of(raw: Path) -> list[ImageRecord]:
    """The records that ingest wrote."""
    return list(read_records(raw.parent / "records/train.parquet"))


def rejected_of(raw: Path) -> list[dict[str, Any]]:
    """The rows of the file of rejected inputs."""
    return pq.read_table(raw.parent / "records/train.rejected.parquet").to_pylist()


def statistics_of(raw: Path) -> dict[str, Any]:
    """The statistics that ingest wrote."""
    return json.loads((raw.parent / "records/train.statistics.json").read_text("utf-8"))


def write_item(folder: Path, **changes: Any) -> None:
    """Give image 4 an annotation with one item, valid but for the changes."""
    write_annotation(folder, 4, {"source": "shop", "pair_id": 1, "item1": {**item(), **changes}})
