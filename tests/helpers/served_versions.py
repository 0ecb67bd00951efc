"""A source of models for the server, whose versions the test says."""

from dataclasses import dataclass
from typing import Any

from deepmark.server.served_model import ServedModel


@dataclass
class Versions:
    """A source of models whose newest version the test says; a version that is no key cannot be loaded."""

    models: dict[int | None, Any]
    newest_version: int | None = None

    def newest(self) -> int | None:
        return self.newest_version

    def load(self, version: int | None) -> ServedModel:
        return ServedModel(self.models[version], {"name": f"version {version}", "version": version})
