"""The models that a run has logged: which of them is the one that is asked for, and whether its files are whole."""

import hashlib
import logging
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from deepmark.files import file_sha256
from deepmark.serving.logged_model import ARTIFACTS, CHECKPOINT_TAG, FILES_TAG, SERVED_TAG, SERVES_TAG, STRATEGY_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

_log = logging.getLogger(__name__)

_IDENTITY = (CHECKPOINT_TAG, STRATEGY_TAG, SERVES_TAG, SERVED_TAG)
"""Tags that tell the models of a run apart."""


def find_model(client: "MlflowClient", run: "Run", tags: Mapping[str, str]) -> str | None:
    """The URI of the run's model with these tags, if its MLmodel file, code and requirements are as they were logged.

    Models that a killed process left unfinished are deleted. Models of earlier releases have no digest to compare with.
    """
    uri, wanted = None, [tags.get(name) for name in _IDENTITY]
    for model in client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"):
        if str(model.status) != "READY":
            client.delete_logged_model(model.model_id)
        elif [model.tags.get(name) for name in _IDENTITY] == wanted:
            if model.tags.get(FILES_TAG) in (None, files_digest(client, model.model_uri)):
                uri = model.model_uri
            else:
                _log.warning("%s: its MLmodel file or its code was lost or damaged.", model.model_uri)
    return uri


def files_digest(client: "MlflowClient", uri: str) -> str:
    """The digest of a logged model's files, in MLflow's current store, other than its artifacts, which have sums."""
    store = _files_of(client, uri)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for entry in store.list_artifacts():
            if entry.path != ARTIFACTS:
                store.download_artifacts(entry.path, name)
        lines = [
            f"{file_sha256(file)}  {file.relative_to(folder).as_posix()}"
            for file in folder.rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _files_of(client: "MlflowClient", uri: str) -> "ArtifactRepository":
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(client.get_logged_model(uri.rpartition("/")[2]).artifact_location)


def restore_files(client: "MlflowClient", uri: str, checkpoint: Path, exported: Sequence[Path]) -> None:
    """Store in a logged model of MLflow's current store what it lacks, or what is damaged there.

    It carries the checkpoint and the exported files; one that was exported since then is new, and no damage. Its other
    files are `find_model`'s to compare, so that each is fetched once.
    """
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder)
        with suppress(MlflowException, OSError):
            stored = Path(_files_of(client, uri).download_artifacts(ARTIFACTS, folder))
        for file in (checkpoint, *exported):
            here = stored / file.name
            if here.is_file() and file_sha256(here) == file_sha256(file):
                continue
            if file is checkpoint or here.is_file():
                what = "its weights were" if file is checkpoint else f"its {file.name} was"
                _log.warning("%s: %s lost or damaged, and stored again from %s.", uri, what, file)
            client.log_model_artifact(uri.rpartition("/")[2], str(file), ARTIFACTS)
