"""A shard that was found intact is not read again until it changes."""

import json
import os
from pathlib import Path

import pytest

from deepmark.data.shards.index import read_index
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.verified import VerifiedShards, read_verified, write_verified
from deepmark.errors import DeepmarkError


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the shards that are read from end to end, as they are."""
    names: list[str] = []
    sha256 = ShardReader._sha256

    def heard(self: ShardReader, descriptor: int, name: str) -> str:
        names.append(Path(name).name)
        return sha256(self, descriptor, name)

    monkeypatch.setattr(ShardReader, "_sha256", heard)
    return names


def verify(shards: Path, file: Path) -> None:
    verified = read_verified(file)
    ShardReader(shards).verify(verified=verified)
    write_verified(file, verified)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)


def test_an_unchanged_shard_is_read_once(shards, tmp_path, read):
    verify(shards, tmp_path / "verified.json")
    assert sorted(read) == [shard.file for shard in read_index(shards).shards]
    read.clear()

    verify(shards, tmp_path / "verified.json")

    assert read == []


def test_a_changed_shard_is_read_again_and_refused(shards, tmp_path, read):
    verify(shards, tmp_path / "verified.json")
    read.clear()
    path = shards / read_index(shards).shards[1].file
    flip(path)
    os.utime(path, ns=(0, 10**18))  # the clock of some file systems is too coarse to tell a change within a test

    with pytest.raises(DeepmarkError, match=r"train-000001\.tar: its sha256 differs"):
        verify(shards, tmp_path / "verified.json")
    assert read == ["train-000001.tar"]


def test_a_copy_in_its_place_is_read_again(shards, tmp_path, read):
    verify(shards, tmp_path / "verified.json")
    read.clear()
    path = shards / read_index(shards).shards[0].file
    status, data = path.stat(), path.read_bytes()
    (shards / "copy").write_bytes(data)
    (shards / "copy").replace(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    verify(shards, tmp_path / "verified.json")

    assert read == [path.name]


def test_another_index_over_the_same_file_is_no_reason_to_believe_it(shards, tmp_path):
    path = shards / read_index(shards).shards[0].file
    verified = VerifiedShards()
    verified.add(str(path), path.stat(), "0" * 64)

    assert verified.knows(str(path), path.stat(), "0" * 64)
    assert not verified.knows(str(path), path.stat(), "1" * 64)


def test_a_flipped_byte_whose_time_was_set_back_passes_and_is_found_where_it_is_read(shards, tmp_path):
    """The limit that the module states."""
    verify(shards, tmp_path / "verified.json")
    path = shards / read_index(shards).shards[0].file
    status = path.stat()
    flip(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    verify(shards, tmp_path / "verified.json")

    with pytest.raises(DeepmarkError, match="is damaged"):
        ShardReader(shards)[0]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": "other", "files": {}}', b"\xff\x00"])
def test_a_damaged_or_foreign_file_means_to_verify_again(shards, tmp_path, read, content):
    verify(shards, tmp_path / "verified.json")
    count = len(read)
    (tmp_path / "verified.json").write_bytes(content)

    verify(shards, tmp_path / "verified.json")

    assert len(read) == 2 * count
    assert json.loads((tmp_path / "verified.json").read_text("utf-8"))["format"] == "verified shards, version 1"


def test_one_changed_digit_in_the_file_is_damage(shards, tmp_path):
    verify(shards, tmp_path / "verified.json")
    text = (tmp_path / "verified.json").read_text("utf-8")
    (tmp_path / "verified.json").write_text(text.replace("train-000000", "train-000009"), "utf-8")

    assert read_verified(tmp_path / "verified.json").files == {}


def test_shards_that_are_gone_are_forgotten(shards, tmp_path):
    verify(shards, tmp_path / "verified.json")
    path = shards / read_index(shards).shards[0].file
    verified = read_verified(tmp_path / "verified.json")
    path.unlink()

    write_verified(tmp_path / "verified.json", verified)

    assert str(path) not in read_verified(tmp_path / "verified.json").files
