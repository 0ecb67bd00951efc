"""The cache of shards keeps what is in use and deletes the least recently used."""

import hashlib
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepmark.data.shards.cache import ShardCache
from deepmark.errors import DeepmarkError

SIZE = 1000


def content(number: int) -> bytes:
    return bytes([number]) * SIZE


def name(number: int) -> str:
    return hashlib.sha256(content(number)).hexdigest()


def fetch(cache: ShardCache, number: int) -> int:
    return cache.fetch(name(number), SIZE, [content(number)], name=f"shard {number}")


def kept(cache: ShardCache) -> set[str]:
    return {path.stem for path in cache.folder.iterdir() if path.suffix != ".lock"}


@pytest.fixture
def cache(tmp_path: Path) -> ShardCache:
    """Room for three shards."""
    return ShardCache(folder=tmp_path / "cache", limit=3 * SIZE + 10)


def test_the_least_recently_used_shard_is_deleted(cache):
    for number in range(3):
        os.close(fetch(cache, number))
        os.utime(cache.folder / f"{name(number)}.tar", (number, number))
    os.close(fetch(cache, 0))  # used once more
    os.close(fetch(cache, 3))

    assert kept(cache) == {name(0), name(2), name(3)}


def test_a_shard_in_use_is_not_deleted(cache):
    used = [fetch(cache, number) for number in range(2)]
    os.close(fetch(cache, 2))
    os.close(fetch(cache, 3))

    assert kept(cache) == {name(0), name(1), name(3)}
    assert [os.pread(descriptor, SIZE, 0) for descriptor in used] == [content(0), content(1)]
    for descriptor in used:
        os.close(descriptor)


def test_a_cache_full_of_shards_in_use_says_so(cache):
    used = [fetch(cache, number) for number in range(3)]

    with pytest.raises(DeepmarkError, match=r"no room for shard 3 .*in use.*Raise params\.yaml: storage: cache_gib"):
        fetch(cache, 3)
    for descriptor in used:
        os.close(descriptor)


def test_a_shard_that_is_being_fetched_counts_with_its_whole_size(cache):
    def blocks() -> Iterator[bytes]:
        yield content(0)[:1]
        os.close(fetch(cache, 1))
        os.close(fetch(cache, 2))
        os.close(fetch(cache, 3))
        yield content(0)[1:]

    os.close(cache.fetch(name(0), SIZE, blocks(), name="shard 0"))

    assert kept(cache) == {name(0), name(2), name(3)}


def killed_while_fetching(cache: ShardCache) -> None:
    def blocks() -> Iterator[bytes]:
        yield content(0)[:10]
        os.kill(os.getpid(), 9)

    cache.fetch(name(0), SIZE, blocks(), name="shard 0")


def test_a_process_killed_while_it_fetches_leaves_no_shard_and_frees_its_lock(cache):
    process = multiprocessing.get_context("fork").Process(target=killed_while_fetching, args=(cache,))
    process.start()
    process.join()
    assert process.exitcode == -9
    assert cache.find(name(0), SIZE) is None
    assert kept(cache) == {name(0)}  # its draft

    os.close(fetch(cache, 1))
    assert kept(cache) == {name(1)}


def test_an_interrupted_fetch_leaves_nothing(cache):
    def blocks() -> Iterator[bytes]:
        yield content(0)[:10]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.fetch(name(0), SIZE, blocks(), name="shard 0")
    assert kept(cache) == set()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("here")

    with pytest.raises(DeepmarkError, match=r"file/cache: cannot keep shards .*storage: cache\."):
        fetch(ShardCache(folder=tmp_path / "file/cache", limit=SIZE), 0)
