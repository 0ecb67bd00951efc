"""`deepmark import`: from an export of a labelling tool to records, on the command line."""

import shutil
from pathlib import Path

import pytest
from test_formats import RECORDS, images, studio
from vocabularies import SMALL

from deepmark.data.records import read_records
from deepmark.vocabulary.vocabulary_file import vocabulary_yaml
from deepmark.workspace.ingest_inputs import with_dependencies
from deepmark.workspace.init import dvc_yaml, profile_file

assert images  # a fixture


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace of bags, shoes and hats, without git and DVC."""
    root = tmp_path / "shop"
    root.mkdir()
    shutil.copyfile(profile_file("demo"), root / "params.yaml")
    (root / "vocabulary.yaml").write_text(vocabulary_yaml(SMALL), "utf-8")
    (root / "dvc.yaml").write_text(with_dependencies(dvc_yaml().read_text("utf-8"), root), "utf-8")
    return root


@pytest.mark.slow
def test_an_export_becomes_records_and_the_balance_is_told(shop, images, tmp_path, deepmark):
    studio(tmp_path, images)
    place = ("--from", "label-studio", "--images", images, "--validation", "0.4", "--workspace", shop)
    done = deepmark("import", tmp_path / "studio.json", *place, "--json")

    assert done.code == 0, done.err
    facts = done.facts
    assert facts["train"] + facts["validation"] == facts["in_source"] == len(RECORDS)
    assert f"{len(RECORDS)} images in {tmp_path / 'studio.json'} = " in done.err
    assert "+ 0 set aside" in done.err
    for split in ("train", "validation"):
        assert deepmark("ingest", "--split", split, "--workspace", shop).code == 0
        records = read_records(shop / f"data/records/{split}.parquet")
        assert (records.vocabulary, len(list(records))) == (SMALL, facts[split])

    again = deepmark("import", tmp_path / "studio.json", *place)
    assert again.code == 1
    assert "holds an earlier import. --replace puts the images of this file in its place" in again.err
    assert "Traceback" not in again.err
    assert deepmark("import", tmp_path / "studio.json", *place, "--replace", "--json").facts["as_before"] == len(
        RECORDS
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing.json", "--from", "coco", "--images", "."), "nothing.json: no such file"),
        (("params.yaml", "--from", "coco"), "--from coco needs --images"),
        (("params.yaml", "--from", "coco", "--images", "photos"), "--images photos: no such folder"),
        (("params.yaml", "--from", "yolo", "--images", "."), "--from yolo takes no --images"),
        (("params.yaml", "--from", "yolo"), "is no data.yaml of a YOLO data set"),
        (("params.yaml", "--from", "cvat", "--images", "."), "is not XML"),
        (("params.yaml", "--from", "label-studio", "--images", "."), "is not JSON"),
        (("params.yaml", "--from", "yolo", "--validation", "1"), "give shares between 0 and 1"),
        (("params.yaml", "--from", "yolo", "--group-by", "("), "is no regular expression"),
    ],
)
def test_a_mistake_is_one_message(shop, monkeypatch, deepmark, words, message):
    monkeypatch.chdir(shop)
    done = deepmark("import", *words)

    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (shop / "data/raw").exists()
