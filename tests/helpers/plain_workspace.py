"""A workspace for tests of definitions and sensors."""

import shutil
from pathlib import Path

from workspaces import REPOSITORY, set_params

from deepmark.workspace.layout import Workspace


def plain_workspace(folder: Path, **automation: object) -> Workspace:
    """The files that definitions are read from, and one raw image; neither git nor DVC."""
    folder.mkdir(exist_ok=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(REPOSITORY / name, folder / name)
    (folder / "data/raw/train").mkdir(parents=True)
    (folder / "data/raw/train/1.jpg").touch()
    return set_params(Workspace(folder), automation={"settled_minutes": 0} | automation)
