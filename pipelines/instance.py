"""The Dagster instance of a workspace: its folder .dagster, set up from the repository's dagster.yaml."""

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg

from assets.dagster_internals import postgres_error
from deepmark.errors import DeepmarkError, install_extra
from deepmark.workspace.layout import check_place


def dagster_home(workspace: Path) -> Path:
    """The folder to name as DAGSTER_HOME. It is made on first use; later its dagster.yaml is the team's to change.

    Raises DeepmarkError where there is no workspace or it cannot work in its folder, and where its dagster.yaml needs
    packages or environment variables that are missing.
    """
    if not (workspace / "dvc.yaml").is_file():
        raise DeepmarkError(
            f"{workspace}: no workspace. `make demo` makes runs/demo, `deepmark init DIR` an empty one."
        )
    check_place(workspace.resolve())
    home = workspace.resolve() / ".dagster"
    home.mkdir(exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(_template(), home / "dagster.yaml")
    _check_needs(home)
    return home


def open_instance(workspace: Path) -> dg.DagsterInstance:
    """The instance that `dagster dev` shows for this workspace.

    Raises DeepmarkError where `dagster_home` does, and where it is in a Postgres that cannot be used.
    """
    home = dagster_home(workspace)
    if not _is_in_postgres(_settings(home)):
        return dg.DagsterInstance.from_config(str(home))
    try:
        return dg.DagsterInstance.from_config(str(home))
    except postgres_error() as error:
        reason = str(getattr(error.__cause__, "orig", None) or error).strip()
        raise DeepmarkError(
            f"{home}/dagster.yaml: the Postgres it names cannot be used: {reason}\n"
            "Start the server, or correct the DAGSTER_PG_ variables."
        ) from error


def _check_needs(home: Path) -> None:
    """Raise DeepmarkError for a missing package or variable, where Dagster prints a page of traceback."""
    settings, file = _settings(home), home / "dagster.yaml"
    if _is_in_postgres(settings) and find_spec("dagster_postgres") is None:
        raise DeepmarkError(
            f"{file}: storage: postgres needs a package that is not installed: {install_extra('postgres')}."
        )
    unset = [name for name in _variables(settings) if not os.environ.get(name)]
    if unset:
        raise DeepmarkError(f"{file} wants environment variables that are not set: {', '.join(unset)}. Set them.")


def _settings(home: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load((home / "dagster.yaml").read_text("utf-8")) or {}


def _is_in_postgres(settings: dict[str, Any]) -> bool:
    return "postgres" in (settings.get("storage") or {})


def _variables(settings: Any) -> Iterator[str]:
    """The environment variables that settings name, as {env: NAME}."""
    if isinstance(settings, dict):
        if settings.keys() == {"env"}:
            yield settings["env"]
        for value in settings.values():
            yield from _variables(value)


def _template() -> Path:
    installed, checkout = Path(__file__).with_name("dagster.yaml"), Path(__file__).parents[1] / "dagster.yaml"
    return installed if installed.is_file() else checkout
