"""The registered version that a URI such as models:/deepmark@champion means."""

import os
import re
from pathlib import Path

from deepmark.errors import DeepmarkError
from deepmark.registry.versions import CHAMPION, MODEL, Registry, Version, with_alias

_REGISTERED = re.compile(r"models:/+(?P<name>[^/@]+)@(?P<alias>[^/@]+)")


def find_version(uri: str, workspace: Path) -> tuple[Registry, Version]:
    """The registry of a workspace, and the version in it that models:/deepmark@ALIAS means.

    Raises DeepmarkError for another URI, where no version has the alias, or the registry cannot be reached.
    """
    found = _REGISTERED.fullmatch(uri)
    if found is None or found["name"] != MODEL:
        raise DeepmarkError(f"{uri}: not a registered model. Give models:/{MODEL}@{CHAMPION}, or a file.")
    if not os.environ.get("MLFLOW_TRACKING_URI") and not (workspace / "params.yaml").is_file():
        raise DeepmarkError(f"{workspace.resolve()}: no workspace here, whose registry would have {uri}. Name one.")
    registry = Registry(workspace.resolve())
    version = with_alias(registry.versions(), found["alias"])
    if version is None:
        raise DeepmarkError(f"{uri}: no version has this alias. `deepmark promote` makes a champion.")
    return registry, version
