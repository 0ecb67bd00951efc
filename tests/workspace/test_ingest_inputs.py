"""Files that a workspace may have: the stage ingest depends on them, and refuses where it does not."""

import shutil
from pathlib import Path

import pytest
from vocabularies import MANY, SMALL, image_of, random_record
from workspaces import run

from deepmark import stages
from deepmark.data.coco.importer import import_coco
from deepmark.data.coco.writer import write_coco
from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.vocabulary import DEEPFASHION2
from deepmark.vocabulary.vocabulary_file import vocabulary_yaml
from deepmark.workspace.git import git
from deepmark.workspace.ingest_inputs import check_dependencies, with_dependency
from deepmark.workspace.init import dvc_yaml, init_workspace, profile_file
from deepmark.workspace.layout import Workspace
from deepmark.workspace.upgrade import plan_upgrade


def words(folder: Path, vocabulary=SMALL) -> Path:
    file = folder / "words.yaml"
    file.write_text(vocabulary_yaml(vocabulary), "utf-8")
    return file


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A workspace of DeepFashion2's vocabulary, without git and DVC."""
    shutil.copyfile(profile_file("demo"), tmp_path / "params.yaml")
    shutil.copyfile(dvc_yaml(), tmp_path / "dvc.yaml")
    return tmp_path


def raw_images(root: Path) -> None:
    """Nine labelled images of the small vocabulary for each split."""
    folder = root / "coco"
    folder.mkdir()
    records = [random_record(SMALL, number) for number in range(1, 13) if number % 4]
    for record in records:
        (folder / Path(record.file).name).write_bytes(image_of(record.id))
    write_coco(folder / "coco.json", records, SMALL)
    for split in ("train", "validation"):
        import_coco(folder / "coco.json", folder, root / "data/raw" / split, SMALL)


@pytest.mark.slow
def test_a_new_workspace_has_the_vocabulary_and_dvc_depends_on_it(tmp_path):
    workspace = init_workspace(tmp_path / "new", "demo", words(tmp_path))

    assert workspace.vocabulary == SMALL
    assert (workspace.root / "vocabulary.yaml").read_bytes() == (tmp_path / "words.yaml").read_bytes()
    assert git(workspace.root, "status", "--porcelain") == ""
    changed = with_dependency(dvc_yaml().read_text("utf-8"), "vocabulary.yaml", Path("dvc.yaml"))
    assert (workspace.root / "dvc.yaml").read_text("utf-8") == changed
    assert changed.replace("        - vocabulary.yaml\n", "", 1) == dvc_yaml().read_text("utf-8")

    assert init_workspace(tmp_path / "new", vocabulary=tmp_path / "words.yaml") == workspace
    with pytest.raises(DeepmarkError, match=r"has the vocabulary forty garments, but the workspace .* has accessories"):
        init_workspace(tmp_path / "new", vocabulary=words(tmp_path, MANY))


@pytest.mark.slow
@pytest.mark.system
def test_dvc_ingests_again_where_the_vocabulary_has_changed(tmp_path):
    root = init_workspace(tmp_path / "new", "demo", words(tmp_path)).root
    raw_images(root)
    assert run("dvc", "repro", "--quiet", "ingest", cwd=root).code == 0
    records = read_records(root / "data/records/train.parquet")
    assert (records.vocabulary, len(list(records))) == (SMALL, 9)
    assert run("dvc", "status", "--json", "ingest", cwd=root).facts == {}

    text = (root / "vocabulary.yaml").read_text("utf-8")
    (root / "vocabulary.yaml").write_text(text.replace("sigma: 0.05", "sigma: 0.06"), "utf-8")

    assert set(run("dvc", "status", "--json", "ingest", cwd=root).facts) == {"ingest@train", "ingest@validation"}


def test_a_workspace_that_cannot_be_made_leaves_nothing(tmp_path):
    file = words(tmp_path)
    file.write_text(file.read_text("utf-8").replace("sigma: 0.05", "sigma: 0"), "utf-8")

    with pytest.raises(DeepmarkError, match=r"words\.yaml, line \d+: .* sigma: expected a number above 0"):
        init_workspace(tmp_path / "new", "demo", file)

    assert not (tmp_path / "new").exists()


def test_a_workspace_without_the_file_is_of_deepfashion2(plain):
    assert Workspace(plain).vocabulary is DEEPFASHION2
    check_dependencies(plain)


def test_ingest_refuses_a_vocabulary_that_dvc_does_not_know_until_an_upgrade_names_it(plain):
    shutil.copyfile(words(plain), plain / "vocabulary.yaml")
    raw_images(plain)
    with pytest.raises(DeepmarkError, match=r"ingest of .*dvc\.yaml does not depend on it. `deepmark upgrade`"):
        stages.ingest(Workspace(plain), split="train")

    upgrade = plan_upgrade(plain)
    upgrade.write()

    assert [line for line in upgrade.difference().splitlines() if line[0] in "+-" and line[1] not in "+-"] == [
        "+        - vocabulary.yaml"
    ]
    assert plan_upgrade(plain).texts == {}
    assert stages.ingest(Workspace(plain), split="train")["records"] == 9
    assert read_records(plain / "data/records/train.parquet").vocabulary == SMALL


@pytest.mark.parametrize("name", ["vocabulary.yaml", "data/corrections.parquet"])
def test_ingest_refuses_a_workspace_that_has_lost_what_dvc_knows_of(plain, name):
    (plain / "dvc.yaml").write_text(with_dependency((plain / "dvc.yaml").read_text("utf-8"), name, plain), "utf-8")

    with pytest.raises(DeepmarkError, match=rf"{name}: no such file, and the stage ingest"):
        stages.ingest(Workspace(plain), split="train")


def test_a_stage_in_another_style_is_left_to_its_author(plain):
    text = "stages: {ingest: {cmd: x, deps: [data/raw/train]}}\n"

    with pytest.raises(DeepmarkError, match=r"no clear place in it\. Name vocabulary\.yaml under the deps of ingest"):
        with_dependency(text, "vocabulary.yaml", plain / "dvc.yaml")
