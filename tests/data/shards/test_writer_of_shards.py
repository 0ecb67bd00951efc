import gc
import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest
from tiny_dataset import LENIENT, same, write_split

from deepmark.compute.local import Local
from deepmark.data import records as records_module
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.records import read_records, write_records
from deepmark.data.shards.index import read_index
from deepmark.data.shards.plan import cut_shards, plan_shards
from deepmark.data.shards.record_json import record_from_json
from deepmark.data.shards.writer import write_shards
from deepmark.errors import DeepmarkError
from deepmark.vocabulary import DEEPFASHION2


def write(records_file, raw, out, *, seed=1, target_mib=0.01, workers=1, **options):
    return write_shards(
        records_file, raw, out, split="train", seed=seed, target_mib=target_mib, engine=Local(workers), **options
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def keys(folder):
    return [key for shard in read_index(folder).shards for key in shard.samples.key]


def test_every_image_is_copied_byte_for_byte_beside_its_record(shards, records_file, raw):
    members = {}
    for path in shards.glob("*.tar"):
        with tarfile.open(path) as tar:
            members.update({member.name: tar.extractfile(member).read() for member in tar})

    records = list(read_records(records_file))
    assert len(members) == 2 * len(records)
    for record in records:
        assert members[f"{record.id:06d}.jpg"] == (raw / "train" / record.file).read_bytes()
        assert same(record_from_json(members[f"{record.id:06d}.json"]), record)


def test_members_have_no_owner_and_no_time(shards):
    for path in shards.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
                assert (member.uname, member.gname) == ("", "")
                assert member.isfile()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the library leaves closing its files to the collector
def test_the_plain_webdataset_library_reads_the_same_samples(shards, records_file, raw):
    import webdataset

    paths = sorted(str(path) for path in shards.glob("*.tar"))

    samples = {sample["__key__"]: sample for sample in webdataset.WebDataset(paths, shardshuffle=False)}
    gc.collect()

    records = list(read_records(records_file))
    assert sorted(samples) == [f"{record.id:06d}" for record in records]
    for record in records:
        sample = samples[f"{record.id:06d}"]
        assert sample["jpg"] == (raw / "train" / record.file).read_bytes()
        assert same(record_from_json(sample["json"]), record)


def test_the_index_says_what_the_files_are(shards):
    index = read_index(shards)

    assert sorted(shard.file for shard in index.shards) == sorted(path.name for path in shards.glob("*.tar"))
    assert (index.split, index.seed, index.target_mib) == ("train", 1, 0.01)
    for shard in index.shards:
        data = (shards / shard.file).read_bytes()
        assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert shard.count == len(shard.samples.key)
        for key, offset, length in zip(shard.samples.key, shard.samples.offset, shard.samples.length, strict=True):
            with tarfile.open(fileobj=io.BytesIO(data[offset : offset + length])) as tar:
                assert tar.getnames() == [f"{key}.jpg", f"{key}.json"]


@pytest.mark.slow
def test_every_number_of_workers_writes_the_same_bytes(records_file, raw, tmp_path):
    for workers in (1, 2, 3):
        write(records_file, raw, tmp_path / f"by{workers}", workers=workers)

    assert contents(tmp_path / "by1") == contents(tmp_path / "by2") == contents(tmp_path / "by3")


def test_the_order_of_files_on_disk_does_not_matter(tmp_path):
    for name, numbers in (("up", range(1, 8)), ("down", range(7, 0, -1))):
        for number in numbers:
            write_split(tmp_path / name / "train", 1, first=number)
        ingest_split(
            tmp_path / name,
            split="train",
            out=tmp_path / name,
            params=LENIENT,
            engine=Local(1),
            vocabulary=DEEPFASHION2,
        )
        write(tmp_path / name / "train.parquet", tmp_path / name, tmp_path / name / "shards")

    assert contents(tmp_path / "up/shards") == contents(tmp_path / "down/shards")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_row_groups_of_the_records_do_not_matter(records_file, raw, tmp_path, monkeypatch, workers):
    write(records_file, raw, tmp_path / "one_group")
    monkeypatch.setattr(records_module, "ROWS", 3)
    write_records(tmp_path / "train.parquet", read_records(records_file), vocabulary=DEEPFASHION2)

    write(tmp_path / "train.parquet", raw, tmp_path / "three_groups", workers=workers)

    assert contents(tmp_path / "one_group") == contents(tmp_path / "three_groups")
    assert sorted(path.name for path in tmp_path.glob("train*")) == ["train.parquet"]


def test_what_is_sent_to_a_process_holds_no_record(records_file):
    (plan,), _ = plan_shards(records_file, split="train", seed=1, target_mib=1)

    assert sorted(plan.rows.tolist()) == list(range(7))
    assert len(pickle.dumps(plan)) < 600


def test_a_damaged_row_group_is_named_by_its_file(records_file, raw, tmp_path):
    class Damaging:
        """Damages the records after they were planned."""

        def map_in_order(self, function, items):
            data = bytearray(records_file.read_bytes())
            data[100:200] = bytes(100)
            records_file.write_bytes(data)
            yield from map(function, items)

    with pytest.raises(DeepmarkError, match=r"train\.parquet: damaged.*deepmark ingest --split train"):
        write_shards(records_file, raw, tmp_path / "out", split="train", seed=1, target_mib=1, engine=Damaging())
    assert not (tmp_path / "out").exists()


def test_the_unfinished_file_of_a_lost_machine_is_no_part_of_the_shards(records_file, raw, tmp_path):
    class Losing:
        """Leaves a half-written file of every shard, as a machine that is lost does."""

        def map_in_order(self, function, items):
            for plan in items:
                (function.keywords["place"].folder / f"{plan.file}.0123.unfinished").write_bytes(b"half")
                yield function(plan)

    write(records_file, raw, tmp_path / "out")
    write_shards(records_file, raw, tmp_path / "lost", split="train", seed=1, target_mib=0.01, engine=Losing())

    assert contents(tmp_path / "lost") == contents(tmp_path / "out")


def test_the_seed_decides_the_order_and_no_sample_is_lost(records_file, raw, tmp_path):
    for seed in (1, 2):
        write(records_file, raw, tmp_path / f"seed{seed}", seed=seed)

    one, two = keys(tmp_path / "seed1"), keys(tmp_path / "seed2")
    assert one != two
    assert sorted(one) == sorted(two) == [f"{number:06d}" for number in range(1, 8)]


def test_the_returned_counts_are_those_of_the_folder(records_file, raw, tmp_path):
    heard = []

    facts = write(records_file, raw, tmp_path / "out", progress=heard.append)

    tars = list((tmp_path / "out").glob("*.tar"))
    assert facts == {"samples": 7, "shards": len(tars), "bytes": sum(path.stat().st_size for path in tars)}
    assert len(tars) > 1
    assert sum(heard) == 7


def test_shards_are_cut_once_they_have_reached_their_size():
    sizes = np.full(1000, 4096 - 512)

    cuts = cut_shards(sizes, target_bytes=40_960)

    assert [cut.stop - cut.start for cut in cuts] == [10] * 100
    assert [cut.start for cut in cuts[1:]] == [cut.stop for cut in cuts[:-1]]


def test_an_image_larger_than_a_shard_gets_one_of_its_own():
    cuts = cut_shards(np.array([10, 10**6, 10**6, 10]), target_bytes=10_000)

    assert [(cut.start, cut.stop) for cut in cuts] == [(0, 2), (2, 3), (3, 4)]


def test_new_shards_take_the_place_of_all_old_ones(records_file, raw, tmp_path):
    write(records_file, raw, tmp_path / "out", target_mib=0.001)

    write(records_file, raw, tmp_path / "out", target_mib=10)

    assert sorted(contents(tmp_path / "out")) == [".index.json", "train-000000.tar"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_leaves_the_old_shards_and_nothing_else(records_file, raw, tmp_path, workers):
    folder = tmp_path / "split" / "out"
    write(records_file, raw, folder)
    before = contents(folder)

    def interrupt(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(records_file, raw, folder, seed=2, workers=workers, progress=interrupt)

    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def test_the_files_of_a_killed_run_are_deleted_by_the_next(records_file, raw, tmp_path):
    unfinished = tmp_path / "split/out.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "train-000999.tar").write_bytes(b"half")

    write(records_file, raw, tmp_path / "split/out")

    assert [path.name for path in (tmp_path / "split").iterdir()] == ["out"]
    assert "train-000999.tar" not in contents(tmp_path / "split/out")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_an_image_that_changed_since_ingest_is_named(records_file, raw, tmp_path, workers):
    file = raw / "train/image/000005.jpg"
    file.write_bytes(file.read_bytes()[:-2] + b"!!")

    with pytest.raises(DeepmarkError, match=r"image/000005\.jpg: has changed since.*deepmark ingest"):
        write(records_file, raw, tmp_path / "out", workers=workers)

    assert not (tmp_path / "out").exists()


def test_a_missing_image_is_named(records_file, raw, tmp_path):
    (raw / "train/image/000005.jpg").unlink()

    with pytest.raises(DeepmarkError, match=r"image/000005\.jpg: cannot be read.*deepmark ingest"):
        write(records_file, raw, tmp_path / "out")


def test_no_records_are_an_error(raw, tmp_path):
    write_records(tmp_path / "none.parquet", [], vocabulary=DEEPFASHION2)

    with pytest.raises(DeepmarkError, match=r"none\.parquet: holds no record"):
        write(tmp_path / "none.parquet", raw, tmp_path / "out")
