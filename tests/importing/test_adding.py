"""Images put beside the data that is there: nothing of it changes, and products stay in their splits."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_formats import coco, images, imported
from test_importing_anew import numbers

from deepmark.compute.local import Local
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.importing.importer import SplitShares, import_images
from deepmark.importing.labelled import LabelledImage
from deepmark.vocabulary import DEEPFASHION2

assert images  # a fixture

TO_TRAIN = SplitShares(validation=0.0)


@pytest.fixture
def labelled(images, tmp_path) -> list[LabelledImage]:
    return coco(tmp_path, images)


def contents(raw: Path) -> dict[Path, tuple[str, int]]:
    """Of images and annotations, with the time of their last change."""
    files = [path for path in raw.rglob("*") if path.parent.name in ("image", "annos")]
    return {path: (file_sha256(path), path.stat().st_mtime_ns) for path in files}


def test_added_images_are_learned_from_and_what_was_there_stays(labelled, tmp_path):
    raw = tmp_path / "raw"
    imported(labelled[:6], raw)
    before, first = contents(raw), numbers(raw)
    facts = imported(labelled, raw, add=True, shares=TO_TRAIN)

    assert (facts["in_source"], facts["train"], facts["set_aside"], facts["in_the_data"]) == (len(labelled), 3, 6, 6)
    assert "validation" not in facts
    after = contents(raw)
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 2 * 3
    second = numbers(raw)
    assert {name: second[name] for name in first} == first
    assert sorted(second[name] for name in second.keys() - first.keys()) == [7, 8, 9]
    again = imported(labelled, tmp_path / "other")
    assert again["in_source"] == len(labelled)


def test_images_are_added_to_raw_data_that_no_import_made(labelled, tmp_path):
    raw = tmp_path / "raw"
    imported(labelled[:6], raw)
    (raw / "imported.csv").unlink()
    file = next((raw / "train/annos").iterdir())
    file.rename(file.with_name("000041.json"))
    (raw / f"train/image/{file.stem}.jpg").rename(raw / "train/image/000041.jpg")
    imported(labelled[6:], raw, add=True, shares=TO_TRAIN)

    assert {path.stem for path in (raw / "train/image").iterdir()} >= {"000041", "000042", "000043", "000044"}


def test_a_product_stays_in_the_split_that_it_has(labelled, tmp_path):
    raw = tmp_path / "raw"
    named = [replace(one, name=f"P{place % 5}_{one.name}") for place, one in enumerate(labelled)]
    grouped = SplitShares(validation=0.4, group_by="^(P[0-9]+)_")
    imported(named[:5], raw, shares=grouped)
    lines = (raw / "imported.csv").read_text().splitlines()
    measured = {line.split(",")[1][:2] for line in lines if ",validation," in line}
    imported(named, raw, add=True, shares=replace(grouped, validation=0.0))

    rows = [line.split(",") for line in (raw / "imported.csv").read_text().splitlines()[1:]]
    assert {name[:2] for _, name, split, _ in rows if split == "validation"} == measured
    assert {name[:2] for _, name, split, _ in rows if split == "train"}.isdisjoint(measured)
    assert len([row for row in rows if row[1][:2] in measured]) > len(measured)
    pairs = {
        (name[:2], json.loads((raw / split / "annos" / f"{int(number):06d}.json").read_text())["pair_id"])
        for number, name, split, _ in rows
    }
    assert len(pairs) == len({product for product, _ in pairs}) == len({pair for _, pair in pairs})


def test_what_cannot_be_added_is_told_and_the_data_stays(labelled, tmp_path):
    raw = tmp_path / "raw"
    with pytest.raises(DeepmarkError, match=r"train: no such folder, so there is no data to add to\. Leave out --add"):
        imported(labelled, raw, add=True)
    imported(labelled[:6], raw)
    before = contents(raw)
    with pytest.raises(DeepmarkError, match=r"6 images in the source, 6 set aside .* none is left to add"):
        imported(labelled[:6], raw, add=True)
    with pytest.raises(DeepmarkError, match="has the vocabulary DeepFashion2, but"):
        options = {"set_aside": tmp_path / "aside.csv", "shares": TO_TRAIN, "engine": Local(1)}
        import_images(labelled, raw, DEEPFASHION2, add=True, **options)
    assert contents(raw) == before
