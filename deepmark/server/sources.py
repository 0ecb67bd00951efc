"""Where the served model comes from: a file, or the registered version that has an alias."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.server.served_model import ModelSource, ServedModel

_ALIAS = re.compile(r"models:/(?P<name>[^/@]+)@(?P<alias>[^/@]+)")


class FileSource:
    """A model file, exported or a checkpoint; it serves until the server ends."""

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        """`options` are those of `load_detector`: strategy, min_score and device."""
        self._path, self._options = path, options

    def newest(self) -> None:
        return None

    def load(self, version: int | None) -> ServedModel:
        from deepmark.detectors import load_detector

        detector = load_detector(self._path, **self._options)
        return ServedModel(detector, {"name": self._path.name, "version": None})


class AliasSource:
    """The version of the registered model that has an alias, such as the champion."""

    def __init__(self, uri: str, workspace: Path, options: Mapping[str, Any]) -> None:
        """`uri` is models:/deepmark@ALIAS in the MLflow store of the workspace.

        Raises DeepmarkError for another name, or where the store cannot be reached.
        """
        from deepmark.registry.versions import MODEL, Registry

        found = _ALIAS.fullmatch(uri)
        if found is None or found["name"] != MODEL:
            raise DeepmarkError(f"--model {uri}: not a registered model. Give models:/{MODEL}@champion, or a file.")
        self._alias, self._options, self._registry = found["alias"], options, Registry(workspace)

    def newest(self) -> int:
        """Raises DeepmarkError where no version has the alias, or the store cannot be reached."""
        from deepmark.registry.versions import with_alias

        version = with_alias(self._registry.versions(), self._alias)
        if version is None:
            raise DeepmarkError(f"no version has the alias '{self._alias}'. `deepmark promote` makes a champion.")
        return version.number

    def load(self, version: int | None) -> ServedModel:
        from deepmark.infer.load_detector import load_detector

        chosen = next((one for one in self._registry.versions() if one.number == version), None)
        if chosen is None:
            raise DeepmarkError(f"version {version} is gone from the registry. `deepmark models` lists what is there.")
        with tempfile.TemporaryDirectory(prefix="deepmark-") as folder:
            weights = self._registry.download_weights(chosen, Path(folder))
            detector = load_detector(weights, **self._options)
        return ServedModel(detector, {"name": f"deepmark version {version}", "version": version})


def model_source(model: str, *, workspace: Path, options: Mapping[str, Any]) -> ModelSource:
    """The source that a person names: a path, or models:/deepmark@champion."""
    return AliasSource(model, workspace, options) if model.startswith("models:") else FileSource(Path(model), options)
