"""A COCO data set and its images become folders that ingest reads, and nothing changes."""

import json

import pytest
from tiny_dataset import LENIENT, same, write_annotation, write_split

from deepmark.compute.local import Local
from deepmark.data.coco.importer import STANDINS, far_corner, import_coco
from deepmark.data.coco.writer import write_coco
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.synthetic import draw_dataset
from deepmark.vocabulary import DEEPFASHION2


def ingested(raw, out):
    result = ingest_split(raw, split="train", out=out, params=LENIENT, engine=Local(1), vocabulary=DEEPFASHION2)
    return list(read_records(out / "train.parquet")), result


@pytest.fixture
def source(tmp_path):
    """Pictures in DeepFashion2's folders, their records, and the COCO file of these."""
    write_split(tmp_path / "raw/train", 4)
    records, _ = ingested(tmp_path / "raw", tmp_path / "records")
    write_coco(tmp_path / "coco.json", records, vocabulary=DEEPFASHION2)
    return records


def edited(folder, change):
    values = json.loads((folder / "coco.json").read_text("utf-8"))
    change(values)
    (folder / "coco.json").write_text(json.dumps(values), "utf-8")


def imported(folder):
    facts = import_coco(
        folder / "coco.json", folder / "raw/train/image", folder / "again/train", vocabulary=DEEPFASHION2
    )
    return facts, *ingested(folder / "again", folder / "records again")


def test_records_to_coco_and_back_through_ingest_are_the_same_records(tmp_path, source):
    facts, again, result = imported(tmp_path)

    assert same(tuple(again), tuple(source))
    assert (facts["pictures"], facts["items"]) == (4, sum(len(record.garments) for record in source))
    assert (facts["stood_in"], facts["pictures_without_items"], result.rejected) == ({}, 0, 0)


@pytest.mark.slow
def test_drawn_records_to_coco_and_back_are_the_same_records(tmp_path):
    draw_dataset(tmp_path / "raw", train=6, validation=0, seed=2, engine=Local(1))
    records, _ = ingested(tmp_path / "raw", tmp_path / "records")
    write_coco(tmp_path / "coco.json", records, vocabulary=DEEPFASHION2)

    assert same(tuple(imported(tmp_path)[1]), tuple(records))


def test_fractions_keys_of_items_and_unlabelled_items_come_back(tmp_path):
    raw = write_split(tmp_path / "raw/train", 1)
    values = json.loads((raw / "annos/000001.json").read_text("utf-8"))
    values["item11"] = values.pop("item1")
    values["item11"] |= {"bounding_box": [0.1, 3.3, 50.7, 70.123456], "style": 12, "landmarks": [0] * 75}
    values["item11"] |= {"category_name": "short sleeve top", "category_id": 1}
    write_annotation(raw, 1, values)
    records, _ = ingested(tmp_path / "raw", tmp_path / "records")
    write_coco(tmp_path / "coco.json", records, vocabulary=DEEPFASHION2)

    assert [garment.item for garment in records[0].garments] == ["item2", "item11"]
    assert same(tuple(imported(tmp_path)[1]), tuple(records))


@pytest.mark.parametrize(("near", "far"), [(0.1, 50.7), (10, 50), (3.3, 70.123456), (0.3, 0.9), (1 / 3, 400.25)])
def test_the_far_corner_of_a_box_is_the_one_from_which_its_width_was_computed(near, far):
    assert far_corner(near, far - near) == far


def test_images_are_linked_not_copied(tmp_path, source):
    imported(tmp_path)

    assert (tmp_path / "raw/train/image/000002.jpg").samefile(tmp_path / "again/train/image/000002.jpg")


def test_fields_that_an_official_converters_file_lacks_get_a_default_and_are_counted(tmp_path, source):
    def drop(values):
        for image in values["images"]:
            del image["source"]
        for annotation in values["annotations"]:
            for name in ("item", "style", "scale", "occlusion", "zoom_in", "viewpoint", "pair_id"):
                del annotation[name]

    edited(tmp_path, drop)
    facts, again, result = imported(tmp_path)
    items, garments = facts["items"], [garment for record in again for garment in record.garments]

    assert result.rejected == 0
    assert facts["stood_in"] == {"source": 4, "pair_id": 4} | dict.fromkeys(STANDINS.keys() - {"source"}, items)
    assert {record.source for record in again} == {STANDINS["source"]}
    assert [record.pair_id for record in again] == [record.id for record in again]
    for name in STANDINS.keys() - {"source"}:
        assert {getattr(garment, name) for garment in garments} == {STANDINS[name]}


def test_images_without_items_are_left_out_and_counted(tmp_path, source):
    edited(tmp_path, lambda values: values["annotations"].__delitem__(slice(2)))
    facts, again, result = imported(tmp_path)

    assert facts["pictures_without_items"] == len(source) - len(again) == 1
    assert result.rejected == 0


def test_values_that_ingest_refuses_are_imported_unchanged(tmp_path, source):
    edited(tmp_path, lambda values: values["annotations"][0].update(scale=7))

    assert imported(tmp_path)[2].kinds == {"field_invalid": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda values: values["categories"][4].update(name="person"),
            "category 5 is 'person', which is not in the vocabulary DeepFashion2",
        ),
        (lambda values: values["categories"].append({"id": 14, "name": "hat"}), "category 14 is 'hat'"),
        (lambda values: values["annotations"][1].update(iscrowd=1), "annotations[1] (id 2): is a crowd"),
        (lambda values: values["annotations"][1].update(keypoints=[1] * 882), "labels landmarks of another category"),
        (lambda values: values["annotations"][1].update(keypoints=[1] * 51), "found 51 numbers"),
        (lambda values: values["annotations"][1].pop("keypoints"), "294 * 3 = 882 numbers"),
        (lambda values: values["annotations"][1].update(segmentation={"size": [1, 1]}), "'segmentation' is a mask"),
        (lambda values: values["annotations"][1].update(pair_id=99), "has several pair_id"),
        (lambda values: values["images"][1].pop("file_name"), "images[1] (id 2, None): has no 'file_name'"),
    ],
)
def test_a_file_that_cannot_become_deepfashion2s_files_is_refused_and_nothing_is_written(
    tmp_path, source, change, words
):
    edited(tmp_path, change)

    with pytest.raises(DeepmarkError) as error:
        imported(tmp_path)
    assert words in str(error.value)
    assert not (tmp_path / "again/train").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path, source):
    (tmp_path / "again/train").mkdir(parents=True)
    (tmp_path / "again/train/mine.txt").touch()

    with pytest.raises(DeepmarkError, match="there is something already"):
        imported(tmp_path)
    assert [file.name for file in (tmp_path / "again/train").iterdir()] == ["mine.txt"]
