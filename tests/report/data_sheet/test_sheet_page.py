"""The data sheet as a page: of other garments, after changes that DVC and git know of, and by the command."""

import hashlib
import json
import re
import shutil

import pytest
from accessories import accessories
from vocabularies import SMALL
from workspaces import copied, set_params

from deepmark.data.records import read_records, write_records
from deepmark.errors import DeepmarkError
from deepmark.report.data_sheet.content import data_sheet
from deepmark.report.data_sheet.counts import SAMPLES
from deepmark.report.data_sheet.page import render_sheet
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.earlier_records import earlier_records
from deepmark.workspace.git import IDENTITY, git
from deepmark.workspace.layout import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made_once(tmp_path_factory) -> Workspace:
    return accessories(tmp_path_factory.mktemp("sheet"))


@pytest.fixture
def made(made_once, tmp_path) -> Workspace:
    return copied(made_once, tmp_path)


def test_the_page_shows_the_categories_with_images_of_their_items(made):
    sheet = data_sheet(made)
    page = render_sheet(sheet)

    assert [len(own) for own in sheet.samples] == [SAMPLES] * 3
    assert len(re.findall(r'<img src="data:image/webp', page)) == 3 * SAMPLES
    assert all(f"<h3>{name}</h3>" in page for name in SMALL.by_name)
    assert "36 images with 72 items of 3 categories and 10 landmarks: accessories" in page
    assert "Git and DVC know of no earlier version of these records." in page
    assert "nan" not in re.sub(r"<svg.*?</svg>|data:[^\"]*", "", page, flags=re.DOTALL)
    assert render_sheet(data_sheet(made)) == page


def test_without_shards_the_page_has_no_images_and_the_same_figures(made):
    with_images = render_sheet(data_sheet(made))
    shutil.rmtree(made.root / "data/shards")
    page = render_sheet(data_sheet(made))

    assert "<img" not in page
    assert "#images" not in page
    for heading in ("items", "boxes", "landmarks", "changes"):
        section = rf'<section aria-labelledby="{heading}">.*?</section>'
        assert re.findall(section, page, re.DOTALL) == re.findall(section, with_images, re.DOTALL)


def test_no_shard_is_fetched_from_other_storage_for_an_image(made, tmp_path):
    shutil.copytree(made.root / "data/shards", tmp_path / "bucket")
    elsewhere = set_params(made, storage={"shards": f"file://{tmp_path / 'bucket'}"})
    for file in (tmp_path / "bucket").rglob("*.tar"):
        file.unlink()

    assert not any(data_sheet(elsewhere).samples)


def test_without_records_the_command_to_make_them_is_named(made):
    shutil.rmtree(made.records)

    with pytest.raises(DeepmarkError, match="deepmark ingest --split train"):
        data_sheet(made)


def test_splits_of_different_vocabularies_are_refused(made):
    write_records(made.records_file("validation"), [], DEEPFASHION2)

    with pytest.raises(DeepmarkError, match=r"train\.parquet has the vocabulary accessories.*DeepFashion2"):
        data_sheet(made)


def locked(workspace: Workspace) -> None:
    """What DVC leaves of the records: their md5 in dvc.lock and a copy in its cache, in a commit."""
    stages = {}
    for split in ("train", "validation"):
        file = workspace.records_file(split)
        md5 = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
        kept = workspace.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, kept)
        path = file.relative_to(workspace.root).as_posix()
        stages[f"ingest@{split}"] = {"cmd": "deepmark ingest", "outs": [{"path": path, "md5": md5}]}
    (workspace.root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))
    git(workspace.root, "add", "-f", "dvc.lock")
    git(workspace.root, *IDENTITY, "commit", "-qm", "data")


def test_changes_since_the_version_before_are_told(made):
    locked(made)
    records = list(read_records(made.records_file("train")))
    write_records(made.records_file("train"), records[2:], SMALL)
    locked(made)
    sheet = data_sheet(made)
    page = render_sheet(sheet)

    assert sheet.changes["train"].images_went == 2
    assert "validation" not in sheet.changes
    assert sheet.changes["train"].items_went == sum(len(one.garments) for one in records[:2])
    assert re.search(r"Since the version before: train of \d{4}-\d\d-\d\d \(commit [0-9a-f]{7}\)\.", page)
    assert "Changes by split" in page


def test_a_version_that_the_cache_lacks_is_named(made):
    locked(made)
    write_records(made.records_file("train"), list(read_records(made.records_file("train")))[2:], SMALL)
    locked(made)
    earlier = earlier_records(made, "train")
    assert earlier is not None
    assert earlier.file is not None
    earlier.file.unlink()
    sheet = data_sheet(made)

    assert sheet.changes == {}
    assert sheet.since.startswith("Not compared with train of ")
    assert "Changes by split" not in render_sheet(sheet)


def test_the_cache_may_lie_elsewhere(made, tmp_path):
    locked(made)
    write_records(made.records_file("train"), list(read_records(made.records_file("train")))[2:], SMALL)
    locked(made)
    (made.root / ".dvc/cache").rename(tmp_path / "shared")
    (made.root / ".dvc/config.local").write_text(f"[cache]\n    dir = {tmp_path / 'shared'}\n")

    assert data_sheet(made).changes["train"].images_went == 2


def test_the_command_writes_the_page_and_says_what_to_look_at(made, deepmark, tmp_path):
    out = tmp_path / "sheet.html"
    done = deepmark("datasheet", "--out", out, "--workspace", made.root, "--json")
    assert done.code == 0, done.err
    assert done.facts["look_at"][0].startswith("train has fewer than 20 items of bag (16)")
    assert out.read_text("utf-8") == render_sheet(data_sheet(made))
    assert deepmark("datasheet", "--out", out, "--workspace", made.root).code == 0
    other = tmp_path / "notes.html"
    other.write_text("my notes")
    refused = deepmark("datasheet", "--out", other, "--workspace", made.root)

    assert refused.code == 1
    assert other.read_text() == "my notes"
