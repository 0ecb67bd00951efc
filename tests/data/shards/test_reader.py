import errno
import hashlib
import json
import os
import random

import pytest
from tiny_dataset import same

from deepmark.data.records import read_records
from deepmark.data.shards.index import _INDEX_SHA256_BYTES, read_index
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError, explain


def read_everything(folder):
    """Open, verify and read all samples, as a training does."""
    reader = ShardReader(folder)
    reader.verify()
    return [reader[position] for position in range(len(reader))]


def test_the_reader_gives_the_records_and_the_bytes_of_their_images(shards, records_file, raw):
    reader = ShardReader(shards)
    records = {record.id: record for record in read_records(records_file)}

    assert len(reader) == len(records)
    assert sorted(reader.key(position) for position in range(len(reader))) == [f"{id_:06d}" for id_ in sorted(records)]
    for position in range(len(reader)):
        record, jpeg = reader[position]
        assert same(record, records[record.id])
        assert same(reader.record(position), record)
        assert jpeg == (raw / "train" / record.file).read_bytes()
        assert reader.key(position) == f"{record.id:06d}"


def test_a_folder_whose_index_has_its_old_name_is_read(shards):
    expected = read_everything(shards)
    (shards / ".index.json").rename(shards / "index.json")

    assert same(tuple(read_everything(shards)), tuple(expected))


@pytest.mark.slow
def test_damage_to_any_byte_of_a_shard_is_reported(shards):
    rng = random.Random(0)
    for path in sorted(shards.glob("*.tar")):
        data = path.read_bytes()
        for place in [0, 100, 511, len(data) - 1, len(data) - 1024, *(rng.randrange(len(data)) for _ in range(40))]:
            damaged = bytearray(data)
            damaged[place] ^= 1 << rng.randrange(8)
            path.write_bytes(damaged)
            with pytest.raises(DeepmarkError, match=rf"{path.name}: .*deepmark shard"):
                read_everything(shards)
        path.write_bytes(data)
    assert read_everything(shards)


def test_reading_alone_notices_any_damage_before_the_end_of_the_tar(shards):
    rng = random.Random(1)
    shard = read_index(shards).shards[0]
    path = shards / shard.file
    data = path.read_bytes()
    for position, (key, offset, length) in enumerate(
        zip(shard.samples.key, shard.samples.offset, shard.samples.length, strict=True)
    ):
        for place in [0, 1, length - 1, *(rng.randrange(length) for _ in range(30))]:
            damaged = bytearray(data)
            damaged[offset + place] ^= 1 << rng.randrange(8)
            path.write_bytes(damaged)
            reader = ShardReader(shards)
            with pytest.raises(DeepmarkError, match=rf"{path.name}: sample '{key}' is damaged"):
                reader[position]
            with pytest.raises(DeepmarkError, match=rf"{path.name}: sample '{key}' is damaged"):
                reader.record(position)
        path.write_bytes(data)


def test_damage_while_reading_is_reported_too(shards):
    reader = ShardReader(shards)
    path = shards / "train-000000.tar"
    with path.open("r+b") as file:
        file.write(bytes(2048))

    with pytest.raises(DeepmarkError, match="is damaged"):
        reader[0]


def test_a_shard_cut_short_while_reading_is_reported(shards):
    reader = ShardReader(shards)
    os.truncate(shards / "train-000000.tar", 700)

    with pytest.raises(DeepmarkError, match="is damaged"):
        reader[0]


@pytest.mark.parametrize("by", [-1, -512, 1, 512])
def test_a_shard_of_another_length_is_refused_at_opening(shards, by):
    path = shards / "train-000001.tar"
    os.truncate(path, path.stat().st_size + by)

    with pytest.raises(DeepmarkError, match=r"train-000001\.tar: has .* bytes, the index says"):
        ShardReader(shards)


def test_a_missing_or_renamed_shard_is_refused_at_opening(shards):
    (shards / "train-000001.tar").rename(shards / "train-000007.tar")

    with pytest.raises(DeepmarkError, match=r"train-000001\.tar: is not there.*`deepmark shard` again"):
        ShardReader(shards)


def test_a_shard_that_the_system_does_not_open_is_told_with_a_remedy_that_helps(shards, monkeypatch):
    def refuse(path, flags):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="Too many open files") as error:
        ShardReader(shards)

    told = explain(error.value)
    assert told is not None
    assert told.startswith(f"{shards / 'train-000000.tar'}: too many files are open. ")
    assert "ulimit -n" in told


def test_swapped_shards_are_refused(shards):
    first, second = shards / "train-000000.tar", shards / "train-000001.tar"
    first.rename(shards / "aside")
    second.rename(first)
    (shards / "aside").rename(second)

    with pytest.raises(DeepmarkError, match=r"train-00000\d\.tar"):
        read_everything(shards)


def test_samples_swapped_inside_a_shard_are_refused(shards):
    shard = max(read_index(shards).shards, key=lambda shard: shard.count)
    path = shards / shard.file
    data = path.read_bytes()
    cut = shard.samples.offset[1]
    end = cut + shard.samples.length[1]
    path.write_bytes(data[cut:end] + data[:cut] + data[end:])

    with pytest.raises(DeepmarkError, match="is damaged"):
        ShardReader(shards)[shard_start(shards, shard.file)]


def shard_start(folder, file):
    """The position of a shard's first sample."""
    shards = read_index(folder).shards
    return sum(shard.count for shard in shards[: [shard.file for shard in shards].index(file)])


def test_verify_reports_its_progress(shards):
    heard = []

    ShardReader(shards).verify(heard.append)

    assert sum(heard) == 7


def test_a_folder_without_an_index_is_refused(tmp_path):
    with pytest.raises(DeepmarkError, match=r"index\.json: cannot be read.*deepmark shard"):
        ShardReader(tmp_path)


def test_damage_to_any_byte_of_the_index_is_reported(shards):
    rng = random.Random(2)
    path = shards / ".index.json"
    data = path.read_bytes()
    for place in [0, len(data) - 1, *range(len(data) - 90, len(data)), *(rng.randrange(len(data)) for _ in range(300))]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(DeepmarkError, match=r"index\.json: .*deepmark shard"):
            ShardReader(shards)
    for length in [0, 1, 83, 84, 85, len(data) - 1, *(rng.randrange(len(data)) for _ in range(50))]:
        path.write_bytes(data[:length])
        with pytest.raises(DeepmarkError, match=r"index\.json: .*deepmark shard"):
            ShardReader(shards)


def _mutated(value, rng):
    """A JSON value with one random node replaced, removed or doubled."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.9:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        action = rng.random()
        if action < 0.1:
            del value[key]
        elif action < 0.2 and isinstance(value, list):
            value.append(value[key])
        else:
            value[key] = _mutated(value[key], rng)
        return value
    return rng.choice([None, True, -1, 0, 1, 0.5, 2**70, 2**47, "", "x", "../train-000000.tar", [], {}, [[]]])


@pytest.mark.slow
def test_an_index_with_nonsense_under_a_valid_checksum_is_refused_or_leads_to_true_samples(shards):
    rng = random.Random(3)
    path = shards / ".index.json"
    text = path.read_text("utf-8")
    true = {record.id: (record, jpeg) for record, jpeg in read_everything(shards)}
    outcomes = {"refused": 0, "read": 0}
    for _ in range(500):
        values = json.loads(text)
        del values["index_sha256"]
        body = json.dumps(_mutated(values, rng), separators=(",", ":")).encode()[:-1]
        path.write_bytes(body + f',"index_sha256":"{hashlib.sha256(body).hexdigest()}"}}\n'.encode())
        try:
            samples = read_everything(shards)
        except DeepmarkError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        assert all(same(sample, true[sample[0].id]) for sample in samples)
    assert min(outcomes.values()) > 10


def test_the_checksum_at_the_end_of_the_index_has_the_expected_length(shards):
    assert (shards / ".index.json").read_bytes()[-_INDEX_SHA256_BYTES:].startswith(b',"index_sha256":"')
