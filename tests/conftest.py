"""A workspace with a few drawn pictures, made once a test run and copied for each test that changes it."""

import shutil
from pathlib import Path

import pytest

from deepmark import stages
from deepmark.data.synthetic import draw_dataset
from deepmark.schema import SPLITS
from deepmark.workspace import Workspace, init_workspace


def set_params(workspace: Workspace, **values: object) -> Workspace:
    """The workspace with some keys of its params.yaml changed, each by its own unique name."""
    file = workspace.root / "params.yaml"
    lines = file.read_text("utf-8").splitlines()
    for key, value in values.items():
        places = [number for number, line in enumerate(lines) if line.strip().startswith(f"{key}:")]
        assert len(places) == 1, f"{key} stands {len(places)} times in params.yaml"
        indent = lines[places[0]][: -len(lines[places[0]].lstrip())]
        lines[places[0]] = f"{indent}{key}: {value}"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return Workspace(workspace.root)


@pytest.fixture(scope="session")
def sharded_once(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = init_workspace(tmp_path_factory.mktemp("workspace") / "tiny", "demo")
    draw_dataset(workspace.raw, train=12, validation=6, seed=3, workers=1)
    workspace = set_params(workspace, epochs=2, input_size=[64, 64], processes=1, pictures=2)
    workspace = Workspace(Path(workspace.root))
    _set_train_batch(workspace, 4)
    for split in SPLITS:
        stages.ingest(workspace, split=split)
        stages.shard(workspace, split=split)
    return workspace


def _set_train_batch(workspace: Workspace, size: int) -> None:
    file = workspace.root / "params.yaml"
    before, train = file.read_text("utf-8").split("\ntrain:")
    file.write_text(before + "\ntrain:" + train.replace("batch_size: 16", f"batch_size: {size}", 1), "utf-8")


@pytest.fixture
def sharded(sharded_once: Workspace, tmp_path: Path) -> Workspace:
    """Twelve training and six validation pictures as shards, and a recipe of two epochs."""
    return Workspace(Path(shutil.copytree(sharded_once.root, tmp_path / "workspace", symlinks=True)))
