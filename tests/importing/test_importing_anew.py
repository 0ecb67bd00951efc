"""Imported anew, images keep their numbers, and nothing that somebody made is lost."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_formats import coco, images, imported
from vocabularies import SMALL

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.importing.labelled import LabelledImage
from deepmark.params import IngestParams

assert images  # a fixture

LENIENT = IngestParams(max_rejected_share=0.0, max_megapixels=10)


def numbers(raw: Path) -> dict[str, int]:
    """By the name in the source, of the images that are there, as their annotation files say."""
    rows = [line.split(",") for line in (raw / "imported.csv").read_text().splitlines()[1:]]
    there = {file.stem for split in ("train", "validation") for file in (raw / split / "annos").iterdir()}
    assert there == {f"{int(number):06d}" for number, _, split, _ in rows if split}
    return {name: int(number) for number, name, split, _ in rows if split}


@pytest.fixture
def labelled(images, tmp_path) -> list[LabelledImage]:
    return coco(tmp_path, images)


def test_images_keep_their_numbers_and_those_of_others_are_never_given_again(labelled, tmp_path):
    raw = tmp_path / "raw"
    last = max(labelled, key=lambda one: one.name)
    imported(labelled[2:], raw)
    first = numbers(raw)
    facts = imported([one for one in labelled[1:] if one is not last], raw, replace=True)
    second = numbers(raw)
    imported(labelled, raw, replace=True)
    third = numbers(raw)

    kept = first.keys() - {last.name}
    assert facts["as_before"] == len(kept)
    assert {name: second[name] for name in kept} == {name: first[name] for name in kept}
    assert second[labelled[1].name] > max(first.values())  # not that of the image that is gone
    assert third == {**first, **second, labelled[0].name: max(second.values()) + 1}
    for split in ("train", "validation"):
        settings = {"params": LENIENT, "vocabulary": SMALL, "engine": Local(1)}
        ingest_split(raw, split=split, out=tmp_path / "records", **settings)
    found = [one.id for split in ("train", "validation") for one in read_records(tmp_path / f"records/{split}.parquet")]
    assert sorted(found) == sorted(third.values())


def test_an_earlier_import_is_replaced_only_where_that_is_said(labelled, tmp_path):
    imported(labelled, tmp_path / "raw")
    with pytest.raises(DeepmarkError, match=r"raw: holds an earlier import\. --replace puts the images of this file"):
        imported(labelled[1:], tmp_path / "raw")

    assert len(numbers(tmp_path / "raw")) == len(labelled)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train/annos/{:06d}.json", "{{}}", "has been changed since it was imported, and the change would be lost"),
        ("train/image/notes.txt", "mine", "no import wrote it, and it would be lost. Move it away"),
        ("imported.csv", "number,image\n1,a\n", "is not as `deepmark import` wrote it .* Put it back, or move"),
        ("imported.csv", "number,image,split,annotation_sha256\nx,a,,\n", "is not as `deepmark import` wrote it"),
    ],
)
def test_what_somebody_changed_since_is_not_lost(labelled, tmp_path, file, content, message):
    raw = tmp_path / "raw"
    imported(labelled, raw)
    number = int(next((raw / "train/annos").iterdir()).stem)
    changed = raw / file.format(number)
    changed.write_text(content)

    with pytest.raises(DeepmarkError, match=message):
        imported(labelled, raw, replace=True)
    assert changed.read_text() == content


def test_an_import_that_is_refused_leaves_the_earlier_one_and_a_list_of_reasons(labelled, tmp_path):
    raw = tmp_path / "raw"
    imported(labelled, raw)
    before = sorted(raw.rglob("*"))
    with pytest.raises(DeepmarkError, match=r"set_aside\.csv says why\), none is left for train and validation"):
        imported([replace(one, garments=()) for one in labelled], raw, replace=True)

    assert sorted(raw.rglob("*")) == before
    assert len((tmp_path / "set_aside.csv").read_text().splitlines()) == 1 + len(labelled)
    assert not list(tmp_path.glob("*.unfinished"))


def test_an_image_that_is_there_twice_with_different_labels_is_not_taken(labelled, tmp_path):
    first, second = labelled[:2]
    other = replace(first, garments=second.garments)
    facts = imported([*labelled, other, replace(second)], tmp_path / "raw")

    assert facts["in_source"] == len(labelled) + 2
    assert facts["set_aside"] == 3
    lines = (tmp_path / "set_aside.csv").read_text().splitlines()
    assert lines.count(f'{first.name},"is in the source twice, with different labels"') == 2
    assert lines.count(f"{second.name},is in the source twice") == 1
    assert first.name not in numbers(tmp_path / "raw")
