"""The client of MLflow's model registry: the versions of the registered model, their aliases, tags and files."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepmark.errors import DeepmarkError
from deepmark.registry.lock import exclusive
from deepmark.serving.logged_model import CHECKPOINT_TAG, WEIGHTS
from deepmark.tracking.mlflow_store import as_current_store, open_client, store_errors, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL = "deepmark"
"""The name under which versions are registered."""

CHAMPION, CHALLENGER = "champion", "challenger"
"""Registry aliases: the version that serves, and the candidate for promotion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A registered model."""

    number: int
    aliases: tuple[str, ...]
    created: datetime
    run_id: str | None
    tags: Mapping[str, str]

    @property
    def checkpoint(self) -> str | None:
        """The sha256 of its weights' file; None where it was not registered by `deepmark register`."""
        return self.tags.get(CHECKPOINT_TAG)

    def noted(self, name: str) -> dict[str, Any] | None:
        """The content of a tag that holds JSON; None where there is no such tag."""
        return json.loads(self.tags[name]) if name in self.tags else None


class Registry:
    """The versions of a workspace's store.

    Every method raises DeepmarkError, naming the tracking URI, when the store cannot be reached.
    """

    def __init__(self, workspace: Path) -> None:
        self.uri = tracking_uri(workspace)
        with store_errors(self.uri):
            self._client: MlflowClient = open_client(workspace)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nobody else changes the registry while the block runs (see lock.py)."""
        with store_errors(self.uri), exclusive(self._client, self.uri):
            yield

    def versions(self) -> list[Version]:
        """All of them, newest first."""
        with store_errors(self.uri):
            aliases: dict[int, list[str]] = {}
            for alias, number in self._aliases().items():
                aliases.setdefault(number, []).append(alias)
            found = [
                Version(
                    number=int(one.version),
                    aliases=tuple(sorted(aliases.get(int(one.version), []))),
                    created=datetime.fromtimestamp(one.creation_timestamp / 1000, UTC),
                    run_id=one.run_id,
                    tags=dict(one.tags),
                )
                for one in self._client.search_model_versions(f"name = '{MODEL}'")
            ]
        return sorted(found, key=lambda one: -one.number)

    def create(self, source: str, run_id: str, tags: Mapping[str, str]) -> int:
        """A new version with all its tags at once; returns its number. `source` is the URI of a logged model."""
        with store_errors(self.uri), as_current_store(self.uri):
            from mlflow.exceptions import MlflowException

            try:
                self._client.create_registered_model(MODEL, description="Clothes and their landmarks in pictures.")
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            model_id = source.rpartition("/")[2]
            made = self._client.create_model_version(MODEL, source, run_id, dict(tags), model_id=model_id)
        return int(made.version)

    def note(self, number: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version, one after the other; of two that set one at once the later one's stays."""
        with store_errors(self.uri):
            for name, value in tags.items():
                self._set_tag(str(number), name, value)

    def _set_tag(self, number: str, name: str, value: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_model_version_tag(MODEL, number, name, value)
        except MlflowException as error:
            # A new tag is inserted without a lock: who comes second is told that it is there, and then changes it.
            if "IntegrityError" not in str(error):
                raise
            self._client.set_model_version_tag(MODEL, number, name, value)

    def point(self, alias: str, number: int) -> None:
        """Give a version an alias, which no other has then."""
        with store_errors(self.uri):
            self._client.set_registered_model_alias(MODEL, alias, str(number))

    def unpoint(self, alias: str) -> None:
        """No version has the alias any more."""
        with store_errors(self.uri):
            if alias in self._aliases():
                self._client.delete_registered_model_alias(MODEL, alias)

    def keep(self, run_id: str, file: Path, folder: str) -> None:
        """Put a file into the artifacts of a run; the same once more changes nothing."""
        with store_errors(self.uri):
            self._client.log_artifact(run_id, str(file), folder)

    def fetch_kept(self, run_id: str, path: str, folder: Path) -> Path:
        """A file that was kept with a run, as a copy in `folder`; DeepmarkError where it is gone."""
        return self._fetch(f"runs:/{run_id}/{path}", folder)

    def fetch_weights(self, version: Version, folder: Path) -> Path:
        """The weights' file of a version, as a copy in `folder`; DeepmarkError where it is gone."""
        return self._fetch(f"models:/{MODEL}/{version.number}/{WEIGHTS}", folder)

    def _fetch(self, uri: str, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        with store_errors(self.uri), as_current_store(self.uri):
            from mlflow.artifacts import download_artifacts
            from mlflow.exceptions import MlflowException

            try:
                return Path(download_artifacts(artifact_uri=uri, dst_path=str(folder)))
            except (MlflowException, OSError) as error:
                reason = " ".join(str(error).split())[:200]
                raise DeepmarkError(f"{uri}: cannot be fetched from {self.uri} ({reason}).") from None

    def _aliases(self) -> dict[str, int]:
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_registered_model(MODEL).aliases
            return {alias: int(number) for alias, number in found.items()}  # text, over HTTP
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise


def with_alias(versions: list[Version], alias: str) -> Version | None:
    """The version that has an alias."""
    return next((one for one in versions if alias in one.aliases), None)
