"""The Dagster instance of a workspace: its folder .dagster, set up from the repository's dagster.yaml."""

import shutil
from pathlib import Path

import dagster as dg

from deepmark.errors import DeepmarkError


def dagster_home(workspace: Path) -> Path:
    """The folder to name as DAGSTER_HOME; made on first use, after that its dagster.yaml is the team's own.

    Raises DeepmarkError where there is no workspace.
    """
    if not (workspace / "dvc.yaml").is_file():
        raise DeepmarkError(
            f"{workspace}: no workspace. `make demo` makes runs/demo, `deepmark init DIR` an empty one."
        )
    home = workspace.resolve() / ".dagster"
    home.mkdir(exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(_template(), home / "dagster.yaml")
    return home


def open_instance(workspace: Path) -> dg.DagsterInstance:
    """The same instance that `dagster dev` shows for this workspace."""
    return dg.DagsterInstance.from_config(str(dagster_home(workspace)))


def _template() -> Path:
    installed, checkout = Path(__file__).with_name("dagster.yaml"), Path(__file__).parents[1] / "dagster.yaml"
    return installed if installed.is_file() else checkout
