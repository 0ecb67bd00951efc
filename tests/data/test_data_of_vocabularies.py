"""Data of other categories than DeepFashion2's: from COCO files to raw files, to records, and to training samples."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_dataset import LENIENT, same
from vocabularies import MANY, SMALL, image_of, random_record

from deepmark.compute.local import Local
from deepmark.data.augment import make_sample
from deepmark.data.coco.convert import coco_truth
from deepmark.data.coco.importer import import_coco
from deepmark.data.coco.writer import write_coco
from deepmark.data.ingest.ingest import ingest_split, read_rejected, read_statistics
from deepmark.data.ingest.left_right_check import ENOUGH, check_left_right
from deepmark.data.records import read_records, write_records
from deepmark.errors import DeepmarkError
from deepmark.params import load_params
from deepmark.vocabulary import DEEPFASHION2, Vocabulary
from deepmark.workspace.init import profile_file

EACH = pytest.mark.parametrize("vocabulary", [SMALL, MANY], ids=lambda one: one.name)
COUNT = 40


def records_of(vocabulary: Vocabulary) -> list[Any]:
    """Every image has a garment."""
    return [random_record(vocabulary, number) for number in range(1, COUNT + 1) if number % 4]


def coco_of(folder: Path, vocabulary: Vocabulary) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    records = records_of(vocabulary)
    for record in records:
        (folder / Path(record.file).name).write_bytes(image_of(record.id))
    write_coco(folder / "coco.json", records, vocabulary)
    return folder / "coco.json"


def imported(folder: Path, vocabulary: Vocabulary, file: Path | None = None) -> Path:
    file = file or coco_of(folder / "coco", vocabulary)
    import_coco(file, file.parent, folder / "raw/train", vocabulary, engine=Local(1))
    return folder / "raw"


def ingested(folder: Path, raw: Path, vocabulary: Vocabulary) -> Any:
    return ingest_split(
        raw, split="train", out=folder / "records", params=LENIENT, vocabulary=vocabulary, engine=Local(1)
    )


@EACH
def test_records_come_back_from_a_coco_file_and_the_raw_files_made_of_it(vocabulary, tmp_path):
    ingested(tmp_path, imported(tmp_path, vocabulary), vocabulary)
    back = read_records(tmp_path / "records/train.parquet")

    assert back.vocabulary == vocabulary
    for found, wanted in zip(back, records_of(vocabulary), strict=True):
        assert same(found, wanted)


def test_a_file_of_other_tools_has_keypoints_by_category_and_any_ids(tmp_path):
    """As COCO's own files: each annotation has its category's keypoints alone, and the hat has none."""
    file = coco_of(tmp_path / "coco", SMALL)
    values = json.loads(file.read_text())
    ids = {1: 70, 2: 7, 3: 700}
    for fields in values["annotations"]:
        category = SMALL.categories[fields["category_id"] - 1]
        own = fields.pop("keypoints")[3 * category.start : 3 * category.span.stop]
        fields |= {"category_id": ids[fields["category_id"]]} | ({"keypoints": own} if own else {})
    for fields, category in zip(values["categories"], SMALL.categories, strict=True):
        fields |= {"id": ids[fields["id"]], "keypoints": list(category.parts), "skeleton": []}
    values["categories"].reverse()
    file.write_text(json.dumps(values))

    ingested(tmp_path, imported(tmp_path, SMALL, file), SMALL)

    for found, wanted in zip(read_records(tmp_path / "records/train.parquet"), records_of(SMALL), strict=True):
        assert same(found, wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values["categories"][1].update(name="sho"), r"'sho'.*accessories\. Did you mean 'shoe'"),
        (
            lambda values: values["categories"][1].update(keypoints=["heel top", "toe tip", "x", "y", "z", "a"]),
            "keypoint 2 is 'toe tip', and in the vocabulary 'tongue'",
        ),
        (
            lambda values: values["annotations"][0].update(keypoints=[1, 2, 2]),
            r"'keypoints' should be 10 \* 3 = 30 numbers",
        ),
        (lambda values: values["annotations"][0].pop("keypoints"), r"'keypoints' should be 10 \* 3 = 30 numbers"),
    ],
)
def test_a_coco_file_that_does_not_fit_the_vocabulary_is_refused(change, message, tmp_path):
    file = coco_of(tmp_path / "coco", SMALL)
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))

    with pytest.raises(DeepmarkError, match=message):
        imported(tmp_path, SMALL, file)

    assert not (tmp_path / "raw/train").exists()


def test_raw_files_of_another_vocabulary_are_refused_by_name(tmp_path):
    raw = imported(tmp_path, SMALL)

    with pytest.raises(DeepmarkError, match=r"the workspace has the vocabulary DeepFashion2, but .*raw/train has acc"):
        ingested(tmp_path, raw, DEEPFASHION2)

    assert not (tmp_path / "records").exists()


def test_labels_that_are_not_of_the_vocabulary_are_set_aside_with_their_reason(tmp_path):
    raw = imported(tmp_path, SMALL)
    first, second, *_ = sorted((raw / "train/annos").iterdir())
    for path, fields in ((first, {"category_id": 4}), (second, {"landmarks": [1, 1, 2]})):
        values = json.loads(path.read_text())
        values["item1"] |= fields
        path.write_text(json.dumps(values))

    result = ingested(tmp_path, raw, SMALL)
    reasons = [str(one) for one in read_rejected(tmp_path / "records/train.rejected.parquet")]

    assert result.rejected == 2
    assert "category_id: expected 1 to 3, found 4" in reasons[0]
    assert "landmarks of its category" in reasons[1]


def test_statistics_are_of_the_vocabulary_and_compare_with_no_released_set(tmp_path):
    ingested(tmp_path, imported(tmp_path, SMALL), SMALL)
    counts = read_statistics(tmp_path / "records/train.statistics.json")
    garments = [garment for record in records_of(SMALL) for garment in record.garments]

    assert {name: one["items"] for name, one in counts["by"]["category"].items()} == {
        category.name: sum(garment.category == category.index for garment in garments) for category in SMALL.categories
    }
    assert "released_items" not in counts["by"]["category"]["bag"]
    unlabelled = [garment for garment in garments if len(garment.landmarks) and not garment.landmarks[:, 2].any()]
    assert counts["items_without_landmarks"] == len(unlabelled)


@EACH
def test_pairs_of_left_and_right_are_checked_by_their_names(vocabulary, tmp_path):
    records = [random_record(vocabulary, number) for number in range(6 * ENOUGH)]
    write_records(tmp_path / "train.parquet", records, vocabulary)

    checks = check_left_right(tmp_path / "train.parquet")

    wanted = {"bag: left handle", "bag: left bottom"} if vocabulary is SMALL else set()
    assert {check.name for check in checks} == wanted
    assert all(0.2 < check.share < 0.8 for check in checks)  # the landmarks are random


@EACH
def test_a_training_sample_has_landmarks_as_wide_as_the_vocabulary_and_mirrors_them(vocabulary):
    augment = load_params(profile_file("paper")).augment.model_copy(
        update={"scale": (1.0, 1.0), "shift": 0.0, "mirror": 1.0, "color": 0.0, "lighting": 0.0}
    )
    for number in (1, 2, 3, 5, 6, 7):
        record, jpeg, rng = random_record(vocabulary, number), image_of(number), np.random.default_rng(0)
        plain = make_sample(record, jpeg, canvas=(80, 60), augment=None, rng=rng, vocabulary=vocabulary)
        mirrored = make_sample(record, jpeg, canvas=(80, 60), augment=augment, rng=rng, vocabulary=vocabulary)
        assert plain.landmarks.shape == (len(record.garments), vocabulary.most_landmarks, 3)
        for row, garment in enumerate(record.garments):
            category = vocabulary.categories[garment.category]
            there = plain.landmarks[row, : category.landmarks][list(category.mirror)]
            there[there[:, 2] > 0, 0] = 60 - there[there[:, 2] > 0, 0]
            np.testing.assert_allclose(mirrored.landmarks[row, : category.landmarks], there, atol=1e-3)
            assert not mirrored.landmarks[row, category.landmarks :].any()


def test_the_coco_layout_has_the_keypoints_of_all_categories():
    truth = coco_truth(records_of(SMALL), SMALL)

    assert [one["name"] for one in truth["categories"]] == ["bag", "shoe", "hat"]
    assert len(truth["categories"][0]["keypoints"]) == 10
    assert truth["categories"][1]["skeleton"][0] == [5, 6]
    for fields in truth["annotations"]:
        flat = np.asarray(fields["keypoints"]).reshape(-1, 3)
        span = SMALL.categories[fields["category_id"] - 1].span
        assert fields["num_keypoints"] == (flat[span, 2] > 0).sum() == (flat[:, 2] > 0).sum()


@pytest.mark.slow
def test_mutated_coco_files_are_imported_with_nothing_lost_or_refused_with_a_message(tmp_path):
    rng, file = random.Random(0), coco_of(tmp_path / "coco", SMALL)
    right = json.loads(file.read_text())
    right["images"], right["annotations"] = right["images"][:4], right["annotations"][:7]
    values = [None, "", "bag", "hat", -1, 0, 2, 1e300, 10**40, [], {}, [1, 2, 2], [0] * 30, [0] * 12, True]
    outcomes = Counter[str]()
    for number in range(500):
        content = json.loads(json.dumps(right))
        parent, key = _place(content, rng)
        parent[key] = rng.choice(values)
        file.write_text(json.dumps(content))
        try:
            facts = import_coco(file, file.parent, tmp_path / f"{number}/train", SMALL, engine=Local(1))
            result = ingested(tmp_path / str(number), tmp_path / str(number), SMALL)
        except DeepmarkError as error:
            outcomes["refused"] += 1
            outcomes["explained"] += str(error).rstrip()[-1] in ".?)"
            continue
        records = read_records(tmp_path / f"{number}/records/train.parquet")
        outcomes["imported"] += 1
        outcomes["unchanged"] += content == right
        assert (
            facts["pictures_in_file"] == len(content["images"]) == facts["pictures"] + facts["pictures_without_items"]
        )
        assert result.files == facts["pictures"] == result.records + result.rejected
        if not result.rejected:
            assert sum(len(record.garments) for record in records) == facts["items"] == len(content["annotations"])
    assert outcomes["imported"] + outcomes["refused"] == 500
    assert outcomes["explained"] == outcomes["refused"]
    assert min(outcomes["imported"], outcomes["refused"]) > 50


def _place(content: Any, rng: random.Random) -> tuple[Any, Any]:
    """A random place in nested lists and dictionaries: what holds it, and its key."""
    parent = content
    while True:
        key = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
        if not isinstance(parent[key], dict | list) or not parent[key] or rng.random() < 0.1:
            return parent, key
        parent = parent[key]
