from pathlib import Path

import pytest
from tiny_dataset import LENIENT, write_split

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.shards.writer import write_shards
from deepmark.vocabulary import DEEPFASHION2


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Seven pictures to train on, as unzipped."""
    write_split(tmp_path / "raw/train", 7)
    return tmp_path / "raw"


@pytest.fixture
def records_file(raw: Path, tmp_path: Path) -> Path:
    """The records of `raw`."""
    ingest_split(raw, split="train", out=tmp_path / "records", params=LENIENT, engine=Local(1), vocabulary=DEEPFASHION2)
    return tmp_path / "records/train.parquet"


@pytest.fixture
def shards(records_file: Path, raw: Path, tmp_path: Path) -> Path:
    """The records and pictures of `raw` in three shards or so."""
    write_shards(records_file, raw, tmp_path / "shards", split="train", seed=1, target_mib=0.01, engine=Local(1))
    return tmp_path / "shards"
