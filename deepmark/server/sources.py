"""Where the served model comes from: a file or a workspace, or the registered version that has an alias."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepmark.detectors import find_version, load_detector, load_version
from deepmark.errors import DeepmarkError
from deepmark.server.served_model import ModelSource, ServedModel


class FileSource:
    """A model file, exported or a checkpoint, or that of a workspace; it serves until the server ends."""

    def __init__(self, path: str, options: Mapping[str, Any]) -> None:
        """`options` are those of `load_detector`: strategy, min_score and device."""
        self._path, self._options = path, options

    def newest(self) -> None:
        return None

    def load(self, version: int | None) -> ServedModel:
        detector = load_detector(self._path, **self._options)
        return ServedModel(detector, {"name": detector.path.name, "version": None})


class AliasSource:
    """The version of the registered model that has an alias, such as the champion."""

    def __init__(self, uri: str, workspace: Path, options: Mapping[str, Any]) -> None:
        """`uri` is models:/deepmark@ALIAS in the MLflow store of the workspace."""
        self._uri, self._workspace, self._options = uri, workspace, options

    def newest(self) -> int:
        """Raises DeepmarkError for another URI, where no version has the alias, or the store cannot be reached."""
        _, version = find_version(self._uri, self._workspace)
        return version.number

    def load(self, version: int | None) -> ServedModel:
        registry, found = find_version(self._uri, self._workspace)
        if found.number != version:  # promoted since it was asked for; the next look finds it
            raise DeepmarkError(f"version {version} has lost its alias to version {found.number} meanwhile.")
        detector = load_version(registry, found, **self._options)
        return ServedModel(detector, {"name": f"deepmark version {version}", "version": version})


def model_source(model: str, *, workspace: Path, options: Mapping[str, Any]) -> ModelSource:
    """The source that a person names: a path, or models:/deepmark@champion."""
    return AliasSource(model, workspace, options) if model.startswith("models:") else FileSource(model, options)
