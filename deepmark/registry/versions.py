"""The client of MLflow's model registry: the versions of the registered model, their aliases, tags and files."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepmark.errors import DeepmarkError, redact
from deepmark.registry.lock import exclusive
from deepmark.runtime.contract import FILES
from deepmark.serving.logged_model import (
    ARTIFACTS,
    CHECKPOINT,
    CHECKPOINT_TAG,
    FILES_TAG,
    SERVED_TAG,
    SERVES_TAG,
    WEIGHTS,
)
from deepmark.tracking.mlflow_store import as_current_store, open_client, store_errors, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL = "deepmark"
"""The name under which versions are registered."""

CHAMPION, CHALLENGER = "champion", "challenger"
"""Registry aliases: the version that serves, and the candidate for promotion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A version of the registered model."""

    number: int
    aliases: tuple[str, ...]
    created: datetime
    run_id: str | None
    tags: Mapping[str, str]

    @property
    def checkpoint(self) -> str | None:
        """The sha256 of its weights' file; None where it was not registered by `deepmark register`."""
        return self.tags.get(CHECKPOINT_TAG)

    @property
    def serves(self) -> str:
        """The kind of its file that serves: checkpoint, or the precision of an exported file."""
        return self.tags.get(SERVES_TAG, CHECKPOINT)

    @property
    def served_file(self) -> str:
        """The path of the file that serves, in its logged model."""
        return WEIGHTS if self.serves == CHECKPOINT else f"{ARTIFACTS}/{FILES[self.serves]}"

    @property
    def served_sha256(self) -> str | None:
        """Of the file that serves; None where it was not registered by `deepmark register`."""
        return self.checkpoint if self.serves == CHECKPOINT else self.tags.get(SERVED_TAG)

    def json_tag(self, name: str) -> dict[str, Any] | None:
        """The value of a tag that holds JSON; None where there is no such tag, DeepmarkError where it is damaged."""
        try:
            return json.loads(self.tags[name]) if name in self.tags else None
        except ValueError as error:
            raise DeepmarkError(
                f"version {self.number}: its tag '{name}' is damaged ({error}). `deepmark register` where its "
                "checkpoint is writes it again."
            ) from None


class Registry:
    """The versions of the registered model in the MLflow store of a workspace.

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
        """All versions, newest first."""
        with store_errors(self.uri):
            aliases: dict[int, list[str]] = {}
            for alias, number in self._aliases().items():
                aliases.setdefault(number, []).append(alias)
            versions = [
                Version(
                    number=int(one.version),
                    aliases=tuple(sorted(aliases.get(int(one.version), []))),
                    created=datetime.fromtimestamp(one.creation_timestamp / 1000, UTC),
                    run_id=one.run_id,
                    tags=dict(one.tags),
                )
                for one in self._client.search_model_versions(f"name = '{MODEL}'")
            ]
        return sorted(versions, key=lambda one: -one.number)

    def create_version(self, source: str, run_id: str, tags: Mapping[str, str]) -> int:
        """Make a version, with all its tags at once, of the logged model at the URI `source`; returns its number."""
        with store_errors(self.uri), as_current_store(self.uri):
            from mlflow.exceptions import MlflowException

            try:
                self._client.create_registered_model(MODEL, description="Clothes and their landmarks in images.")
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            model_id = source.rpartition("/")[2]
            files = self._client.get_logged_model(model_id).tags.get(FILES_TAG)
            all_tags = {**tags, **({FILES_TAG: files} if files else {})}
            version = self._client.create_model_version(MODEL, source, run_id, all_tags, model_id=model_id)
        return int(version.version)

    def set_tags(self, number: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version, one after the other. Where two processes set the same tag, the later value stays."""
        with store_errors(self.uri):
            for name, value in tags.items():
                self._set_tag(str(number), name, value)

    def _set_tag(self, number: str, name: str, value: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_model_version_tag(MODEL, number, name, value)
        except MlflowException as error:
            # MLflow inserts a new tag without a lock: the second process gets this error, and updates the tag instead.
            if "IntegrityError" not in str(error):
                raise
            self._client.set_model_version_tag(MODEL, number, name, value)

    def set_alias(self, alias: str, number: int) -> None:
        """Give an alias to a version, and take it from any other."""
        with store_errors(self.uri):
            self._client.set_registered_model_alias(MODEL, alias, str(number))

    def delete_alias(self, alias: str) -> None:
        """Take an alias from whichever version has it, if one has."""
        with store_errors(self.uri):
            if alias in self._aliases():
                self._client.delete_registered_model_alias(MODEL, alias)

    def log_artifact(self, run_id: str, file: Path, folder: str) -> None:
        """Store a file among the artifacts of a run; repeating it changes nothing."""
        with store_errors(self.uri):
            self._client.log_artifact(run_id, str(file), folder)

    def download_artifact(self, run_id: str, path: str, folder: Path) -> Path:
        """Copy an artifact of a run into `folder`; DeepmarkError where it is gone."""
        return self._download(f"runs:/{run_id}/{path}", folder)

    def is_whole(self, version: Version, *, whole: str | None = None) -> bool:
        """Whether its MLmodel file, code and requirements are as they were; earlier releases kept no sum of them.

        `whole` is the URI of a logged model that was just found to be so, whose files are not fetched again.
        """
        registered = version.tags.get(FILES_TAG)
        if registered is None:
            return True
        from deepmark.tracking.logged_models import files_digest

        with store_errors(self.uri), as_current_store(self.uri):
            source = str(self._client.get_model_version(MODEL, str(version.number)).source)
            return source == whole or files_digest(self._client, source) == registered

    def download_served(self, version: Version, folder: Path) -> Path:
        """Copy the file of a version that serves into `folder`; DeepmarkError where it is gone."""
        return self._download(f"models:/{MODEL}/{version.number}/{version.served_file}", folder)

    def _download(self, uri: str, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        with store_errors(self.uri), as_current_store(self.uri):
            from mlflow.artifacts import download_artifacts
            from mlflow.exceptions import MlflowException

            try:
                return Path(download_artifacts(artifact_uri=uri, dst_path=str(folder)))
            except (MlflowException, OSError) as error:
                reason = redact(" ".join(str(error).split()))[:200]
                raise DeepmarkError(f"{uri}: cannot be fetched from {self.uri} ({reason}).") from None

    def _aliases(self) -> dict[str, int]:
        from mlflow.exceptions import MlflowException

        try:
            aliases = self._client.get_registered_model(MODEL).aliases
            return {alias: int(number) for alias, number in aliases.items()}  # over HTTP the numbers are text
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise


def with_alias(versions: list[Version], alias: str) -> Version | None:
    """The version that has the alias; None where none has."""
    return next((one for one in versions if alias in one.aliases), None)
