"""Shards on other storage: what is read, how often it is requested, and what errors say."""

import os
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from object_storage import ObjectStorage, cut_off, refused, slow
from tiny_dataset import same

from deepmark.data.shards import remote as storage
from deepmark.data.shards.cache import ShardCache
from deepmark.data.shards.index import read_index
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.remote import RemoteFolder
from deepmark.data.shards.source import RemoteShards
from deepmark.errors import DeepmarkError

pytestmark = pytest.mark.slow

ROOM = 2**30


@pytest.fixture
def source(shards: Path, s3: ObjectStorage, tmp_path: Path) -> Callable[..., RemoteShards]:
    """The folder `shards` on S3, read with little patience through a cache."""
    url = s3.put(shards, "shards/train")

    def make(limit: int = ROOM, **how: object) -> RemoteShards:
        folder = RemoteFolder(**{"url": url, "waits": (0.01, 0.01, 0.01), **how})
        return RemoteShards(folder, ShardCache(folder=tmp_path / "cache", limit=limit))

    return make


def files(shards: Path) -> list[str]:
    return [shard.file for shard in read_index(shards).shards]


def tars(s3: ObjectStorage) -> list[str]:
    return [name for name in s3.asked if name.endswith(".tar")]


def equal(reader: ShardReader, local: ShardReader) -> bool:
    return len(reader) == len(local) and all(
        same(reader[position][0], local[position][0]) and reader[position][1] == local[position][1]
        for position in range(len(local))
    )


@pytest.mark.slow
def test_shards_on_s3_give_the_samples_of_the_folder_that_was_copied(source, shards):
    reader = ShardReader(source())
    reader.verify()

    assert equal(reader, ShardReader(shards))
    assert equal(pickle.loads(pickle.dumps(reader)), ShardReader(shards))


def test_shards_behind_any_url_of_fsspec_are_read_alike(shards, tmp_path):
    cache = ShardCache(folder=tmp_path / "cache", limit=ROOM)

    assert equal(ShardReader(RemoteShards(RemoteFolder(url=shards.as_uri()), cache)), ShardReader(shards))


@pytest.mark.slow
def test_nothing_is_fetched_before_it_is_read(source, shards, s3):
    reader = ShardReader(source())
    reader.verify()
    assert tars(s3) == []

    assert reader.record(0) is not None
    assert tars(s3) == files(shards)[:1]


def test_a_shard_is_fetched_once_for_all_threads_and_readers(source, shards, s3):
    readers = [ShardReader(source()) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: readers[number % 3][number % len(readers[0])], range(42)))

    assert sorted(tars(s3)) == files(shards)


@pytest.mark.slow
def test_a_shard_larger_than_one_request_arrives_whole(source, shards, s3, monkeypatch):
    monkeypatch.setattr(storage, "BLOCK_BYTES", 1000)

    assert equal(ShardReader(source()), ShardReader(shards))
    assert len(tars(s3)) > 2 * len(files(shards))


@pytest.mark.slow
def test_a_forked_process_goes_on_reading(source, shards):
    reader, local = ShardReader(source()), ShardReader(shards)
    assert reader.record(0) is not None  # connections and threads are there
    child = os.fork()
    if child == 0:
        os._exit(0 if equal(reader, local) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([refused("503 Slow Down", "SlowDown")] * 2, id="slow down"),
        pytest.param([refused("500 Internal Server Error", "InternalError")] * 3, id="internal error"),
        pytest.param([cut_off], id="half a body"),
        pytest.param([slow(1.5)], id="silence"),
    ],
)
@pytest.mark.parametrize("end", [".index.json", "000001.tar"])
def test_temporary_failures_are_repeated(source, shards, s3, faults, end):
    s3.faults = {end: list(faults)}

    assert equal(ShardReader(source(timeout_seconds=0.5)), ShardReader(shards))
    assert s3.faults == {end: []}


def test_each_attempt_waits_longer(source, s3, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr(storage.time, "sleep", slept.append)
    s3.faults = {".index.json": [refused("503 Slow Down", "SlowDown")] * 6}

    assert len(ShardReader(source(waits=RemoteFolder(url="").waits))) == 7
    assert slept == [0.5, 1, 2, 4, 8, 16]


def test_storage_that_keeps_failing_is_named_with_its_last_answer(source, s3):
    s3.faults = {"000000.tar": [refused("503 Slow Down", "SlowDown")] * 4}
    reader = ShardReader(source())

    with pytest.raises(
        DeepmarkError, match=r"s3://wardrobe/shards/train/train-000000\.tar: no good answer in 4 .*Slow"
    ):
        reader.record(0)
    assert reader.record(0) is not None


def test_storage_that_is_not_there_is_named(source, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(
        DeepmarkError, match=r"shards/train/\.index\.json: no good answer in 4 attempts.*127\.0\.0\.1:9"
    ):
        ShardReader(source(timeout_seconds=62))  # connections are kept by their settings


@pytest.mark.parametrize("url", ["s3://wardrobe/elsewhere", "s3://no-such-bucket/shards"])
def test_missing_shards_are_named_with_what_to_do(source, url):
    with pytest.raises(DeepmarkError, match=rf"{url}/\.index\.json: is not there .*storage: shards"):
        ShardReader(source(url=url))


def test_a_missing_object_is_noticed_before_anything_is_read(source, shards, s3):
    s3.delete("shards/train/train-000001.tar")

    with pytest.raises(DeepmarkError, match=r"train/train-000001\.tar: is not there, the index names it. Copy"):
        ShardReader(source())


def test_an_object_of_another_size_is_noticed_before_anything_is_read(source, s3):
    s3.put_object("shards/train/train-000001.tar", b"short")

    with pytest.raises(DeepmarkError, match=r"train-000001\.tar: has 5 bytes, the index says [\d,]+\. Copy"):
        ShardReader(source())


def test_missing_credentials_are_asked_for(source, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(DeepmarkError, match=r"index\.json: may not be read .*credentials.*AWS_PROFILE"):
        ShardReader(source(timeout_seconds=61))


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_rejected_credentials_are_not_tried_twice(source, s3, code):
    s3.faults = {".index.json": [refused("403 Forbidden", code)] * 2}

    with pytest.raises(DeepmarkError, match=rf"index\.json: may not be read .*{code}.*AWS_PROFILE"):
        ShardReader(source())
    assert len(s3.faults[".index.json"]) == 1


def test_a_damaged_shard_is_not_kept(source, shards, s3, tmp_path):
    damaged = bytearray((shards / "train-000000.tar").read_bytes())
    damaged[700] ^= 1
    s3.put_object("shards/train/train-000000.tar", bytes(damaged))

    with pytest.raises(DeepmarkError, match=r"train-000000\.tar: its sha256 differs from the index\. Copy"):
        ShardReader(source()).record(0)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"]


def test_an_index_under_its_old_name_is_read(source, shards, s3):
    s3.put_object("shards/train/index.json", (shards / ".index.json").read_bytes())
    s3.delete("shards/train/.index.json")

    assert equal(ShardReader(source()), ShardReader(shards))


def test_a_damaged_index_is_refused(source, s3):
    s3.put_object("shards/train/.index.json", b'{"format":"deepmark shards, version 1"}\n')

    with pytest.raises(DeepmarkError, match=r"shards/train/\.index\.json: is damaged"):
        ShardReader(source())


def test_a_shard_damaged_in_the_cache_is_noticed_and_fetched_again_once_deleted(source, shards, tmp_path):
    assert ShardReader(source()).record(0) is not None
    (kept,) = (tmp_path / "cache").glob("*.tar")
    content = bytearray(kept.read_bytes())
    content[700] ^= 1
    kept.write_bytes(content)

    with pytest.raises(DeepmarkError, match=r"sha256 differs .*Delete the copy in the cache"):
        ShardReader(source()).verify()
    with pytest.raises(DeepmarkError, match=r"sample '\d+' is damaged\. Delete the copy in the cache"):
        ShardReader(source())[0]
    kept.unlink()
    assert equal(ShardReader(source()), ShardReader(shards))


def test_a_url_of_no_known_kind_is_refused(source):
    with pytest.raises(DeepmarkError, match=r"Expected a URL such as s3://bucket/shards"):
        ShardReader(source(url="s4://bucket/shards"))


def test_without_the_package_for_s3_the_error_says_how_to_install_it(source, monkeypatch):
    import fsspec.core

    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(DeepmarkError, match=r"Install s3fs to access S3.*pip install '\.\[s3\]'"):
        ShardReader(source())
