"""A reader is a sequence that threads and processes may share, and keeps few files open."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny_dataset import same

from deepmark.compute.local import Local
from deepmark.data.shards import reader as reader_module
from deepmark.data.shards.index import read_index
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.writer import write_shards


def test_the_reader_is_a_sequence(shards):
    reader = ShardReader(shards)
    samples = [reader[position] for position in range(7)]

    assert same(reader[-1], samples[-1])
    assert same(reader.record(-7), samples[0][0])
    assert reader.key(-2) == reader.key(5)
    assert same(reader[np.int64(3)], samples[3])
    for chosen in (slice(2, 5), slice(-2, None), slice(None, None, -3), slice(5, 99), slice(4, 4)):
        assert same(tuple(reader[chosen]), tuple(samples[chosen]))
    assert same(tuple(reader), tuple(samples))


@pytest.mark.parametrize("position", [7, -8, 10**9])
def test_a_position_outside_is_an_index_error(shards, position):
    with pytest.raises(IndexError):
        ShardReader(shards)[position]


def test_an_unpickled_reader_works(shards):
    reader = ShardReader(shards)

    again = pickle.loads(pickle.dumps(reader))

    assert same(again[3], reader[3])


def test_threads_may_share_a_reader(shards):
    reader = ShardReader(shards)
    alone = [reader[position] for position in range(len(reader))]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(reader.__getitem__, list(range(len(reader))) * 50))

    assert all(same(sample, alone[i % len(alone)]) for i, sample in enumerate(together))


def test_a_forked_process_continues_to_read(shards):
    reader = ShardReader(shards)
    expected = reader[2][1]

    child = os.fork()
    if child == 0:
        os._exit(0 if reader[2][1] == expected else 1)

    assert os.waitpid(child, 0)[1] == 0
    assert reader[2][1] == expected


def test_a_deleted_reader_closes_its_files(shards):
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    reader = ShardReader(shards)
    assert len(os.listdir("/dev/fd")) > before  # noqa: PTH208

    del reader

    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


def test_a_bounded_number_of_files_is_open_at_a_time(shards, monkeypatch):
    expected = list(ShardReader(shards))
    monkeypatch.setattr(reader_module, "_most_open", lambda: 1)
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    reader = ShardReader(shards)

    assert len(read_index(shards).shards) > 2
    assert same(tuple(reader), tuple(expected))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(reader.__getitem__, list(range(7)) * 20))
    reader.verify()
    assert all(same(sample, expected[i % 7]) for i, sample in enumerate(together))
    assert len(os.listdir("/dev/fd")) == before + 1  # noqa: PTH208


FEW_DESCRIPTORS = """
import resource, sys
from pathlib import Path
from deepmark.data.shards.index import read_index
from deepmark.data.shards.reader import ShardReader

resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
many = Path(sys.argv[1])
print(len(read_index(many).shards), sum(len(list(ShardReader(many))) for _ in range(2)))
"""
"""In a process of its own, which has no other files open."""


def test_more_shards_than_descriptors_are_read(records_file, raw, tmp_path):
    many = tmp_path / "many"
    write_shards(records_file, raw, many, split="train", seed=1, target_mib=0.001, engine=Local(1))
    command = [sys.executable, "-c", FEW_DESCRIPTORS, str(many)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stdout == "7 14\n", done.stderr
