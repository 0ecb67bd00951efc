"""The pipeline of the webdataset library has every sample of the shards once, verified and decoded."""

import http.server
import pickle
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from object_storage import ObjectStorage, cut_off
from tiny_dataset import same
from torch.utils.data import DataLoader

from deepmark.compute.local import Local
from deepmark.data.shards.index import read_index
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.web_dataset import WebDataset, web_dataset
from deepmark.data.shards.writer import write_shards
from deepmark.errors import DeepmarkError

KEYS = [f"{number:06d}" for number in range(1, 8)]


@pytest.fixture
def folder(records_file: Path, raw: Path, tmp_path: Path) -> Path:
    """Seven samples in seven shards of the split "train"."""
    facts = write_shards(
        records_file, raw, tmp_path / "made/train", split="train", seed=1, target_mib=0.001, engine=Local(1)
    )
    assert facts["shards"] == 7
    return tmp_path / "made"


@pytest.fixture
def http_url(folder: Path) -> Iterator[str]:
    handler = partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def keys(dataset: WebDataset) -> list[str]:
    return [sample["__key__"] for sample in dataset]


def shard_of(folder: Path, key: str) -> Path:
    index = read_index(folder / "train")
    return folder / "train" / next(shard.file for shard in index.shards if key in shard.samples.key)


def assert_equal_to_the_reader(samples: list[dict[str, Any]], folder: Path) -> None:
    reader = ShardReader(folder / "train")
    assert len(samples) == len(reader)
    for position, sample in enumerate(samples):
        record, jpeg = reader[position]
        assert sample["__key__"] == reader.key(position)
        assert same(sample["record"], record)
        assert sample["jpg"] == jpeg


def test_the_samples_are_those_of_the_reader_in_their_order(folder):
    assert_equal_to_the_reader(list(web_dataset(folder, "train")), folder)
    assert next(iter(web_dataset(str(folder), "train")))["__url__"].startswith(f"{folder}/train/train-00000")


def test_several_samples_of_a_shard_are_read_too(shards):
    assert sorted(keys(web_dataset(shards.parent, shards.name))) == KEYS


def test_a_shard_larger_than_one_block_is_read_whole(shards, monkeypatch):
    monkeypatch.setattr("deepmark.data.shards.web_dataset.BLOCK_BYTES", 1000)

    assert sorted(keys(web_dataset(shards.parent, shards.name))) == KEYS


def test_a_copy_behind_a_file_url_or_on_a_web_server_is_read_alike(folder, http_url):
    for url in (folder.as_uri(), http_url, f"{http_url}/"):
        assert_equal_to_the_reader(list(web_dataset(url, "train")), folder)


@pytest.mark.slow
def test_a_copy_on_s3_is_read_at_each_pass_unless_there_is_a_cache(folder, s3: ObjectStorage, tmp_path):
    url = s3.put(folder / "train", "copy/train").removesuffix("/train")
    for cache, passes in ((None, 2), (tmp_path / "cache", 1)):
        s3.asked.clear()
        dataset = web_dataset(url, "train", cache=cache)
        for _ in range(2):
            assert_equal_to_the_reader(list(dataset), folder)
        assert len([name for name in s3.asked if name.endswith(".tar")]) == 7 * passes


@pytest.mark.slow
def test_a_request_that_fails_once_is_repeated(folder, s3: ObjectStorage):
    url = s3.put(folder / "train", "copy/train").removesuffix("/train")
    s3.faults = {"000003.tar": [cut_off]}

    assert_equal_to_the_reader(list(web_dataset(url, "train")), folder)
    assert s3.faults == {"000003.tar": []}


def test_the_workers_of_a_data_loader_read_each_sample_once(folder):
    dataset = web_dataset(folder, "train", shuffle=3, seed=5)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context="fork")

    samples = list(loader)

    assert sorted(sample["__key__"] for sample in samples) == KEYS
    assert len({sample["record"].id for sample in samples}) == 7


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", [0, 3])
def test_processes_read_each_sample_once_together(folder, monkeypatch, shuffle):
    shares = []
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        dataset = web_dataset(folder, "train", shuffle=shuffle, epoch=2)
        loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context="fork")
        shares.append([sample["__key__"] for sample in loader])

    assert all(shares)
    assert sorted(key for share in shares for key in share) == KEYS


def test_more_processes_than_shards_leave_some_without_samples(folder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "9")
    monkeypatch.setenv("RANK", "8")

    assert keys(web_dataset(folder, "train")) == []


def test_the_order_depends_on_seed_and_epoch_alone(folder):
    def order(**options: int) -> list[str]:
        return keys(web_dataset(folder, "train", shuffle=100, **options))

    orders = [order(), order(seed=1), order(seed=2), order(epoch=40)]
    assert orders == [order(), order(seed=1), order(seed=2), order(epoch=40)]
    assert len(set(map(tuple, orders))) == 4
    assert all(sorted(each) == KEYS for each in orders)


def test_each_pass_has_the_order_of_the_next_epoch(folder):
    dataset = web_dataset(folder, "train", shuffle=100, epoch=4)

    assert [keys(dataset) for _ in range(3)] == [
        keys(web_dataset(folder, "train", shuffle=100, epoch=epoch)) for epoch in (4, 5, 6)
    ]


def test_the_librarys_own_methods_can_be_chained(folder):
    dataset = web_dataset(folder, "train").decode("rgb8").to_tuple("jpg", "record").batched(4)

    batches = list(dataset)

    assert [len(records) for _, records in batches] == [4, 3]
    for images, records in batches:
        for image, record in zip(images, records, strict=True):
            assert image.dtype == np.uint8
            assert image.shape == (record.height, record.width, 3)


def test_a_data_loader_makes_tensors_of_images_without_a_warning(folder):
    dataset = web_dataset(folder, "train").decode("rgb8").to_tuple("jpg", "record")

    for image, record in DataLoader(dataset, batch_size=None):
        assert image.shape == (record.height, record.width, 3)


def test_processes_take_equally_many_steps_where_asked(folder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "1")

    assert len(keys(web_dataset(folder, "train").repeat().with_epoch(5))) == 5


def flip(position: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


@pytest.mark.parametrize("position", [3, 700, -1100], ids=["header", "JPEG", "padding or JSON"])
def test_a_damaged_sample_is_named_and_those_before_it_are_read(folder, position):
    file = shard_of(folder, ShardReader(folder / "train").key(2))
    content = file.read_bytes()
    file.write_bytes(flip(position % len(content))(content))

    samples = iter(web_dataset(folder, "train"))
    assert [next(samples)["__key__"] for _ in range(2)] == [ShardReader(folder / "train").key(n) for n in range(2)]
    with pytest.raises(DeepmarkError, match=rf"{file.name}: sample '\d+' is damaged\. Run `deepmark shard` again"):
        next(samples)


def test_a_pipeline_can_be_sent_to_another_process(folder):
    dataset = web_dataset(folder, "train", shuffle=3).decode("rgb8").to_tuple("__key__", "jpg")

    sent = pickle.loads(pickle.dumps(dataset))

    assert [key for key, _ in sent] == [key for key, _ in dataset]


@pytest.mark.slow
def test_a_damaged_sample_is_named_by_a_data_loader_too(folder):
    file = shard_of(folder, KEYS[3])
    file.write_bytes(flip(700)(file.read_bytes()))

    with pytest.raises(DeepmarkError, match=rf"sample '{KEYS[3]}' is damaged"):
        list(DataLoader(web_dataset(folder, "train"), batch_size=None, num_workers=2, multiprocessing_context="fork"))


def test_a_damaged_copy_is_named(folder):
    file = shard_of(folder, KEYS[3])
    file.write_bytes(flip(700)(file.read_bytes()))

    with pytest.raises(DeepmarkError, match=rf"file://.*{file.name}: sample '{KEYS[3]}' is damaged\. Copy the folder"):
        keys(web_dataset(folder.as_uri(), "train"))


def test_a_shard_that_is_missing_or_cut_is_named(folder):
    file = shard_of(folder, KEYS[3])
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DeepmarkError, match=rf"{file.name}: has [\d,]+ bytes, the index says"):
        keys(web_dataset(folder, "train"))

    file.unlink()
    with pytest.raises(DeepmarkError, match=rf"{file.name}: is not there"):
        keys(web_dataset(folder, "train"))


def test_a_missing_split_is_named(folder):
    with pytest.raises(DeepmarkError, match=r"validation/\.index\.json: cannot be read"):
        web_dataset(folder, "validation")
