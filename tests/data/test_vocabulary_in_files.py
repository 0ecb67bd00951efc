"""Records, shards and predictions carry the vocabulary that they were made for, and DeepFashion2's leaves no trace."""

import dataclasses
import pickle
import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_dataset import same
from vocabularies import MANY, SMALL, image_of, random_detections, random_record

from deepmark.compute.local import Local
from deepmark.data.predictions import from_batch, read_predictions, to_table, write_predictions
from deepmark.data.records import read_records, write_records
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.web_dataset import web_dataset
from deepmark.data.shards.writer import write_shards
from deepmark.errors import DeepmarkError
from deepmark.types import COLUMNS, Detections, garment_columns
from deepmark.vocabulary import DEEPFASHION2, Vocabulary

EACH = pytest.mark.parametrize("vocabulary", [SMALL, MANY, DEEPFASHION2], ids=lambda one: one.name)
OTHER = pytest.mark.parametrize("vocabulary", [SMALL, MANY], ids=lambda one: one.name)


def written_records(folder: Path, vocabulary: Vocabulary, count: int = 90) -> Path:
    path = folder / "train.parquet"
    write_records(path, (random_record(vocabulary, number) for number in range(1, count + 1)), vocabulary)
    return path


def written_shards(folder: Path, vocabulary: Vocabulary, count: int = 12) -> Path:
    (folder / "raw/train/image").mkdir(parents=True)
    for number in range(1, count + 1):
        (folder / f"raw/train/image/{number:06d}.jpg").write_bytes(image_of(number))
    write_shards(
        written_records(folder, vocabulary, count),
        folder / "raw",
        folder / "shards",
        split="train",
        seed=1,
        target_mib=0.01,
        engine=Local(1),
    )
    return folder / "shards"


@EACH
def test_records_come_back_exactly_with_their_vocabulary(vocabulary, tmp_path):
    records = read_records(written_records(tmp_path, vocabulary))

    assert records.vocabulary == vocabulary
    assert [one.drawing for one in records.vocabulary.categories] == [one.drawing for one in vocabulary.categories]
    for number, record in enumerate(records, 1):
        assert same(record, random_record(vocabulary, number))


@EACH
def test_a_reader_of_shards_has_the_vocabulary_of_the_records(vocabulary, tmp_path):
    reader = ShardReader(written_shards(tmp_path, vocabulary))

    assert reader.vocabulary == vocabulary
    assert web_dataset(tmp_path, "shards").decode("rgb8").vocabulary == vocabulary
    for record, jpeg in reader:
        assert same(record, random_record(vocabulary, record.id))
        assert jpeg == image_of(record.id)


def test_the_same_samples_of_another_vocabulary_are_other_shards(tmp_path):
    """Only a sigma differs, so the tars are equal."""
    content = SMALL.categories[0]
    assert content.landmarks

    wider = dataclasses.replace(content, sigmas=tuple(2 * sigma for sigma in content.sigmas))
    other = Vocabulary(name="wider", categories=(wider, *SMALL.categories[1:]))
    one = ShardReader(written_shards(tmp_path / "one", SMALL))
    two = ShardReader(written_shards(tmp_path / "two", other))

    assert [shard.sha256 for shard in one._shards] == [shard.sha256 for shard in two._shards]
    assert one.sha256 != two.sha256


@EACH
def test_predictions_come_back_bit_for_bit_with_their_vocabulary(vocabulary, tmp_path):
    rng = np.random.default_rng(0)
    wanted = [(i, f"{i}.jpg", random_detections(vocabulary, rng, i % 5)) for i in range(30)]
    write_predictions(tmp_path / "none.parquet", wanted, {"strategy": "none"})
    found, _ = read_predictions(tmp_path / "none.parquet")

    assert found.vocabulary == vocabulary
    for (image_id, file, detections), row in zip(wanted, found, strict=True):
        assert (row.image_id, row.file) == (image_id, file)
        assert row.detections.vocabulary == vocabulary
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(row.detections, name), getattr(detections, name))


@OTHER
def test_a_table_of_predictions_has_the_vocabulary_in_each_batch(vocabulary):
    rows = [(1, "1.jpg", random_detections(vocabulary, np.random.default_rng(1), 4))]

    (batch,) = to_table(rows).to_batches()
    (row,) = from_batch(batch)

    assert row.detections.vocabulary == vocabulary
    np.testing.assert_array_equal(row.detections.landmarks, rows[0][2].landmarks)


def test_predictions_of_two_vocabularies_are_not_written_to_one_file(tmp_path):
    rng = np.random.default_rng(2)
    rows = [(1, "1.jpg", random_detections(SMALL, rng, 2)), (2, "2.jpg", random_detections(DEEPFASHION2, rng, 2))]

    with pytest.raises(DeepmarkError, match=r"2\.jpg has the vocabulary DeepFashion2, but .* accessories"):
        write_predictions(tmp_path / "both.parquet", rows, {})

    assert not (tmp_path / "both.parquet").exists()


def test_files_of_deepfashion2_do_not_name_a_vocabulary(tmp_path):
    index = written_shards(tmp_path, DEEPFASHION2) / ".index.json"
    write_predictions(
        tmp_path / "p.parquet", [(1, "a", random_detections(DEEPFASHION2, np.random.default_rng(), 1))], {}
    )

    for file in (tmp_path / "train.parquet", tmp_path / "p.parquet"):
        assert b"vocabulary" not in pq.ParquetFile(file).metadata.metadata
    assert b"vocabulary" not in index.read_bytes()


def test_detections_check_their_shape_by_their_vocabulary():
    found = random_detections(SMALL, np.random.default_rng(3), 4)
    assert found.landmarks.shape == (4, 6, 2)

    columns = {name: getattr(found, name) for name in COLUMNS}
    with pytest.raises(DeepmarkError, match=r"landmarks is float32 \(4, 6, 2\), and must be .* \(4, 39, 2\)"):
        Detections(**columns)


@EACH
def test_detections_of_any_vocabulary_are_told_in_its_names(vocabulary):
    found = random_detections(vocabulary, np.random.default_rng(4), 40)
    names = [vocabulary.categories[index].name for index in found.categories]
    counts = [vocabulary.categories[index].landmarks for index in found.categories]

    assert [one["category"] for one in found.as_dicts()] == names
    assert [len(one["landmarks"]) for one in found.as_dicts()] == counts
    assert found.to_pandas()["category"].tolist() == names
    assert len(found.to_pandas(landmarks=True)) == sum(counts)
    assert [one["category_id"] - 1 for one in found.to_coco(1)] == found.categories.tolist()
    assert [sum(one["keypoints"][2::3]) for one in found.to_coco(1)] == counts
    assert {len(one["keypoints"]) for one in found.to_coco(1)} == {3 * vocabulary.landmarks}
    assert names[0] in repr(found)


def test_detections_keep_their_vocabulary_when_they_are_chosen_and_joined():
    rng = np.random.default_rng(5)
    found = random_detections(SMALL, rng, 4)

    assert found[1:].vocabulary is SMALL
    assert Detections.concatenate([found, found[:2]]).vocabulary is SMALL
    with pytest.raises(DeepmarkError, match='category 1 is "bag" in one and "short sleeve top" in the other'):
        Detections.concatenate([found, random_detections(DEEPFASHION2, rng, 1)])


@EACH
def test_garments_are_columns_as_wide_as_the_vocabulary_needs(vocabulary):
    garments = [garment for number in range(40) for garment in random_record(vocabulary, number).garments]

    columns = garment_columns(garments, vocabulary)

    assert columns["landmarks"].shape == (len(garments), vocabulary.most_landmarks, 3)
    own = vocabulary.own_landmarks[columns["category"]]
    assert not columns["landmarks"][~own].any()


@EACH
def test_another_process_gets_an_equal_vocabulary(vocabulary):
    back = pickle.loads(pickle.dumps(vocabulary))

    assert back == vocabulary
    assert (back is DEEPFASHION2) == (vocabulary is DEEPFASHION2)
    assert len(pickle.dumps(DEEPFASHION2)) < 200


def test_a_damaged_vocabulary_in_a_file_is_named(tmp_path):
    path = written_records(tmp_path, SMALL, 3)
    data = path.read_bytes()
    rng = random.Random(0)
    for _ in range(20):
        place = data.index(b"left handle") + rng.randrange(60)
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(DeepmarkError, match=r"train\.parquet"):
            read_records(path)
