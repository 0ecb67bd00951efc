"""Shards written to other storage: what is sent, in which order, and what a later call sends again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from object_storage import ObjectStorage
from tiny_dataset import LENIENT

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.shards.cache import ShardCache
from deepmark.data.shards.index import read_index
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.remote import RemoteFolder
from deepmark.data.shards.source import RemoteShards
from deepmark.data.shards.writer import write_shards
from deepmark.errors import DeepmarkError
from deepmark.vocabulary import DEEPFASHION2

pytestmark = pytest.mark.slow

INDEX = ".index.json"


class StoppedError(Exception):
    """The driver ended."""


@pytest.fixture
def upload(records_file: Path, raw: Path, s3: ObjectStorage) -> Callable[..., dict[str, int]]:
    """Write the shards of the local folder `shards` to S3."""

    def write(**other: Any) -> dict[str, int]:
        folder = RemoteFolder(url="s3://wardrobe/shards/train", waits=(0.01,))
        return write_shards(
            records_file,
            raw,
            folder,
            **{"split": "train", "seed": 1, "target_mib": 0.01, "engine": Local(1), **other},
        )

    return write


def stopping_after(samples: int) -> Callable[[int], None]:
    """A `progress` that ends the driver once so many samples are written."""
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        if done >= samples:
            raise StoppedError

    return progress


def visible(s3: ObjectStorage) -> dict[str, bytes]:
    """What the local folder has too."""
    return {name: data for name, data in s3.contents("shards/train").items() if name == INDEX or name[0] != "."}


def local(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def sent(s3: ObjectStorage) -> list[str]:
    return [name for method, name, _ in s3.changed if method == "PUT"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_bytes_are_those_of_the_local_folder(upload, shards, s3, workers):
    facts = upload(engine=Local(workers))

    assert visible(s3) == local(shards)
    assert (facts["samples"], facts["shards"]) == (7, len(read_index(shards).shards))


def test_a_tar_is_one_request_its_facts_follow_and_the_index_is_last(upload, shards, s3):
    upload()

    tars = [shard.file for shard in read_index(shards).shards]
    assert sent(s3) == [".plan", *(name for tar in tars for name in (tar, f".{tar}.json")), INDEX]
    assert {name: size for _, name, size in s3.changed if name in tars} == {
        shard.file: shard.bytes for shard in read_index(shards).shards
    }
    assert not [request for request in s3.changed if request[0] == "POST"]


def test_a_reader_finds_what_was_written(upload, shards, s3, tmp_path):
    upload()

    cache = ShardCache(folder=tmp_path / "cache", limit=2**30)
    reader = ShardReader(RemoteShards(RemoteFolder(url="s3://wardrobe/shards/train"), cache))

    assert [reader[place][1] for place in range(7)] == [ShardReader(shards)[place][1] for place in range(7)]


def test_a_driver_that_was_stopped_sends_only_what_is_missing(upload, shards, s3):
    with pytest.raises(StoppedError):
        upload(progress=stopping_after(4))
    before = {name for name in sent(s3) if name.endswith(".tar")}
    assert INDEX not in s3.contents("shards/train")
    s3.changed.clear()

    upload()

    tars = {shard.file for shard in read_index(shards).shards}
    again = {name for name in sent(s3) if name.endswith(".tar")}
    assert again == tars - before
    assert 0 < len(again) < len(tars)
    assert visible(s3) == local(shards)


def test_a_finished_upload_sends_no_tar_again(upload, shards, s3):
    upload()
    s3.changed.clear()

    upload()

    assert sent(s3) == [INDEX]
    assert visible(s3) == local(shards)


@pytest.mark.parametrize("damage", ["facts missing", "facts damaged", "tar missing", "tar of another size"])
def test_a_shard_whose_tar_or_facts_are_not_whole_is_sent_again(upload, shards, s3, damage):
    upload()
    tar = read_index(shards).shards[1].file
    name = f"shards/train/.{tar}.json" if damage.startswith("facts") else f"shards/train/{tar}"
    if damage.endswith("missing"):
        s3.delete(name)
    else:
        s3.put_object(name, s3.contents("shards/train")[name.rpartition("/")[2]][:-5])
    s3.changed.clear()

    upload()

    assert [name for name in sent(s3) if name.endswith(".tar")] == [tar]
    assert visible(s3) == local(shards)


def test_shards_of_other_records_never_stand_beside_old_ones(upload, records_file, raw, s3, tmp_path):
    upload()
    (raw / "train/image/000007.jpg").unlink()
    ingest_split(raw, split="train", out=records_file.parent, params=LENIENT, engine=Local(1), vocabulary=DEEPFASHION2)
    s3.changed.clear()

    with pytest.raises(StoppedError):
        upload(progress=stopping_after(1))
    assert s3.changed[0][:2] == ("DELETE", INDEX)
    assert INDEX not in s3.contents("shards/train")
    upload()

    write_shards(records_file, raw, tmp_path / "new", split="train", seed=1, target_mib=0.01, engine=Local(1))
    assert visible(s3) == local(tmp_path / "new")


def test_going_back_to_an_earlier_plan_takes_none_of_the_other_for_its_own(upload, shards, s3):
    upload()
    with pytest.raises(StoppedError):
        upload(seed=2, progress=stopping_after(3))

    upload()

    assert visible(s3) == local(shards)


def test_fewer_shards_leave_no_tar_of_the_earlier_ones(upload, s3):
    upload()
    s3.put_object("shards/train/notes.txt", b"somebody's")

    upload(target_mib=1)

    assert sorted(s3.contents("shards/train")) == [
        INDEX,
        ".plan",
        ".train-000000.tar.json",
        "notes.txt",
        "train-000000.tar",
    ]


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_on_storage_without_whole_objects_a_file_is_renamed_when_it_is_complete(
    records_file, raw, shards, tmp_path, scheme, monkeypatch
):
    import fsspec

    place = tmp_path / "away" if scheme == "file" else Path("/away")
    system = fsspec.filesystem(scheme)
    folder = RemoteFolder(url=f"{scheme}://{place}/train")
    options = {"split": "train", "seed": 1, "target_mib": 0.01, "engine": Local(1)}
    with pytest.raises(StoppedError):
        write_shards(records_file, raw, folder, **options, progress=stopping_after(2))
    write_shards(records_file, raw, folder, **options)

    names = {path.rpartition("/")[2] for path in system.find(f"{place}/train")}
    assert not [name for name in names if name.endswith(".unfinished")]
    assert {name: system.cat_file(f"{place}/train/{name}") for name in names if name in local(shards)} == local(shards)
    system.rm(str(place), recursive=True)


def test_a_bucket_that_is_not_there_is_named(upload, records_file, raw):
    folder = RemoteFolder(url="s3://no-such-bucket/train", waits=(0.01,))

    with pytest.raises(DeepmarkError, match=r"s3://no-such-bucket/train/.*cannot be written.*Make the bucket"):
        write_shards(records_file, raw, folder, split="train", seed=1, target_mib=1, engine=Local(1))
