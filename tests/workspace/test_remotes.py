"""Shards from a DVC remote or from the storage that params.yaml names, and trainings on them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from object_storage import BUCKET, ObjectStorage
from ruamel.yaml import YAML
from trainings import EVERYTHING, under_a_scheduler
from workspaces import commit, copied, run, set_params

from assets.dvc.graph import read_graph
from deepmark.files import file_sha256
from deepmark.schema import SPLITS
from deepmark.tracking.provenance import data_version
from deepmark.train.run_id import run_folder
from deepmark.workspace.git import git
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace


def dvc(root: Path, *words: object, **variables: str) -> str:
    done = run("dvc", *words, cwd=root, **variables)
    assert done.code == 0, done.err + done.out
    return done.out


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_sha256(path) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def committed(sharded_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose shards DVC knows and whose dvc.lock is committed; nothing is trained."""
    workspace = copied(sharded_once, tmp_path_factory.mktemp("committed"))
    dvc(workspace.root, "commit", "--force", "shard")
    commit(workspace.root)
    return workspace


@pytest.fixture
def clone_from(committed: Workspace, tmp_path: Path) -> Callable[[str], Workspace]:
    """Push the shards to a remote, clone the repository, and pull what `shard` made alone."""

    def through(remote: str) -> Workspace:
        source = copied(committed, tmp_path)
        dvc(source.root, "remote", "add", "--default", "team", remote)
        commit(source.root)
        dvc(source.root, "push", "shard")
        git(tmp_path, "clone", str(source.root), "clone")
        shutil.rmtree(source.root)
        dvc(tmp_path / "clone", "pull", "shard")
        return Workspace(tmp_path / "clone")

    return through


@pytest.mark.system
def test_a_clone_that_pulled_the_shards_alone_trains_the_same_weights(clone_from, trained_once, tmp_path):
    clone = clone_from(str(tmp_path / "remote"))
    assert {path.name for path in clone.root.joinpath("data").iterdir() if path.name != ".gitignore"} == {"shards"}

    dvc(set_params(clone, train=EVERYTHING).root, "repro", "--single-item", "train", **under_a_scheduler())

    assert file_sha256(clone.model_file) == file_sha256(trained_once.model_file)


@pytest.mark.system
def test_shards_come_back_from_a_remote_on_s3_as_they_were(clone_from, committed, s3: ObjectStorage):
    clone = clone_from(f"s3://{BUCKET}/dvc")

    assert contents(clone.root / "data/shards") == contents(committed.root / "data/shards")


@pytest.mark.system
def test_a_workspace_without_data_trains_the_same_weights_from_s3(sharded, trained_once, s3: ObjectStorage):
    place = s3.put(sharded.root / "data/shards", "shards")
    folder = run_folder(sharded)
    shutil.rmtree(sharded.root / "data")
    away = set_params(sharded, storage={"shards": place})
    assert run_folder(away) == folder  # what was learnt before the shards moved is not lost

    dvc(set_params(away, train=EVERYTHING).root, "repro", "--single-item", "train", **under_a_scheduler())

    assert file_sha256(away.model_file) == file_sha256(trained_once.model_file)
    deps = YAML(typ="safe").load((away.root / "dvc.lock").read_text("utf-8"))["stages"]["train"]["deps"]
    assert [dep["path"] for dep in deps] == [f"{place}/{split}" for split in SPLITS]
    assert "up to date" in dvc(away.root, "status", "train")


@pytest.mark.system
def test_the_stage_shard_writes_to_s3_and_dvc_keeps_the_index_alone(committed, s3: ObjectStorage, tmp_path):
    away = set_params(copied(committed, tmp_path), storage={"shards": f"s3://{BUCKET}/shards"})
    shutil.rmtree(away.root / "data/shards/train")
    order = dvc(away.root, "repro", "--dry", "--force")
    assert order.index("'shard@validation'") < order.index("'train'")

    dvc(away.root, "repro", "--force", "--single-item", "shard")

    for split in SPLITS:
        uploaded = s3.contents(f"shards/{split}")
        assert contents(away.root / "data/shards" / split).keys() == {".index.json"}
        assert uploaded[".index.json"] == (committed.root / "data/shards" / split / ".index.json").read_bytes()
        for path in (committed.root / "data/shards" / split).glob("*.tar"):
            assert uploaded[path.name] == path.read_bytes()
    assert "up to date" in dvc(away.root, "status", "shard")


@pytest.mark.system
def test_raw_data_is_for_dvc_and_its_small_file_for_git(tmp_path):
    root = init_workspace(tmp_path / "new", "demo").root
    picture = root / "data/raw/train/image/000001.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")
    dvc(root, "add", "data/raw")
    commit(root)
    assert git(root, "ls-files", "data") == "data/raw.dvc"

    git(tmp_path, "clone", str(root), "clone")
    dvc(tmp_path / "clone", "cache", "dir", "--local", root / ".dvc/cache")
    dvc(tmp_path / "clone", "checkout", "--allow-missing")
    assert (tmp_path / "clone" / picture.relative_to(root)).read_bytes() == b"a picture"


@pytest.mark.system
def test_the_data_version_is_that_of_the_shards_that_are_read(committed, s3: ObjectStorage, tmp_path):
    away = set_params(copied(committed, tmp_path), storage={"shards": s3.put(committed.root / "data/shards", "one")})
    first, at_home = data_version(away.root), data_version(committed.root)
    set_params(away, storage={"shards": s3.put(committed.root / "data/shards", "moved")})
    moved = data_version(away.root)
    s3.put_object("moved/validation/.index.json", b"another")

    assert first == moved != at_home
    assert data_version(away.root) not in (first, at_home, None)


@pytest.mark.system
def test_dagsters_graph_has_every_stage_wherever_the_shards_are(committed, s3: ObjectStorage, tmp_path):
    away = set_params(copied(committed, tmp_path), storage={"shards": "s3://wardrobe/shards"})
    here, there = read_graph(committed.root), read_graph(away.root)
    (train,) = [family for family in there.families if family.name == "train"]

    assert {family.name for family in here.families} == {family.name for family in there.families}
    assert there.edges(train) == []  # what it reads is not what `shard` makes


def test_a_training_without_its_shards_ends_with_one_message(deepmark, sharded, s3: ObjectStorage):
    set_params(sharded, storage={"shards": f"s3://{BUCKET}/nowhere"})
    done = deepmark("train", "--workspace", sharded.root)

    assert done.code == 1
    assert done.err.startswith(f"deepmark train: s3://{BUCKET}/nowhere/train/.index.json: is not there")
    assert "Traceback" not in done.err


def test_shards_larger_than_the_cache_are_refused_before_anything_is_fetched(deepmark, sharded, s3: ObjectStorage):
    place = s3.put(sharded.root / "data/shards", "shards")
    set_params(sharded, storage={"shards": place, "cache_gib": 1e-6})
    done = deepmark("train", "--workspace", sharded.root)
    assert done.code == 1
    assert "Raise params.yaml: storage: cache_gib" in done.err
    assert not [name for name in s3.asked if name.endswith(".tar")]
