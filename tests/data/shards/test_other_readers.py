"""Shards that we write are read by the libraries that people use: datasets of Hugging Face, and webdataset itself."""

import numpy as np
import pytest
import simplejpeg
import webdataset
from tiny_dataset import write_split

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.record_json import record_from_json
from deepmark.data.shards.writer import write_shards
from deepmark.params import IngestParams
from deepmark.vocabulary import DEEPFASHION2


@pytest.fixture
def folder(tmp_path, raw):
    """The shards of both splits, as in data/shards of a workspace."""
    write_split(raw / "validation", 4)
    params = IngestParams(max_rejected_share=0, max_megapixels=50)
    for split in ("train", "validation"):
        ingest_split(
            raw, split=split, out=tmp_path / "records", params=params, engine=Local(1), vocabulary=DEEPFASHION2
        )
        records, out = tmp_path / f"records/{split}.parquet", tmp_path / f"all/{split}"
        write_shards(records, raw, out, split=split, seed=1, target_mib=0.01, engine=Local(1))
    return tmp_path / "all"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Hugging Face's own
@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset_reads_the_folder_as_it_is(folder, tmp_path, monkeypatch, streaming):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    from datasets import load_dataset

    loaded = load_dataset("webdataset", data_dir=str(folder), cache_dir=str(tmp_path / "cache"), streaming=streaming)

    assert set(loaded) == {"train", "validation"}
    for split, reader in ((split, ShardReader(folder / split)) for split in loaded):
        rows = {row["__key__"]: row for row in loaded[split]}
        assert len(rows) == len(reader)
        for position, (record, jpeg) in enumerate(reader):
            row = rows[reader.key(position)]
            assert np.array_equal(np.asarray(row["jpg"]), simplejpeg.decode_jpeg(jpeg))
            assert (row["json"]["id"], row["json"]["width"]) == (record.id, record.width)


@pytest.mark.filterwarnings("ignore")  # of the library's own
def test_webdataset_itself_reads_the_tars(folder):
    shards = sorted(map(str, (folder / "train").glob("*.tar")))

    samples = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))

    reader = ShardReader(folder / "train")
    assert [sample["__key__"] for sample in samples] == [reader.key(position) for position in range(len(reader))]
    for sample, (record, jpeg) in zip(samples, reader, strict=True):
        assert sample["jpg"] == jpeg
        assert record_from_json(sample["json"]).id == record.id
