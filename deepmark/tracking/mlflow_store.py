"""MLflow's store: its address, its errors, and the experiment and runs in it."""

import errno
import os
import shlex
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deepmark.errors import DeepmarkError, explain, extras_named, install_extra, redact
from deepmark.tracking.mlflow_internals import forget_places_of_artifacts
from deepmark.tracking.moved_store import ARTIFACTS, EXPERIMENT, follow_workspace
from deepmark.tracking.process_identity import is_dead, this_process

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PROCESS_TAG = "deepmark.process"
"""The tag that names the process which writes a run, as `process_identity.this_process` does."""

IDENTITY_TAG = "deepmark.run"
"""The tag by which a training that was killed before its first checkpoint finds its run again."""

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
_RETRIES = {
    # MLflow's defaults are 7 retries of 120 s: with a mistyped address a training would hang for a quarter of an hour.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}

_DRIVERS = {"psycopg", "psycopg2", "pg8000", "asyncpg", "MySQLdb", "pymysql", "mysql", "pyodbc", "pymssql"}
"""Modules by which SQLAlchemy talks to the databases that MLflow supports."""

_DRIVERS_ADVICE = (
    f"For Postgres: {install_extra('postgres')}, and begin the URI with postgresql+psycopg2://. "
    "For another database, install its driver."
)


_DISK = {errno.EACCES, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EROFS}
_SQLITE = {
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EACCES,
    "disk I/O error": errno.EIO,
}
"""What SQLite says of the disk, as errors of the operating system."""


def tracking_uri(workspace: Path) -> str:
    """The URI of the store: $MLFLOW_TRACKING_URI, or a database file in the workspace. It may hold a password."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_own_database(workspace)}"


def _own_database(workspace: Path) -> Path:
    return workspace.resolve() / "mlflow.db"


def has_store(workspace: Path) -> bool:
    """Whether there may be a store: not where it is the workspace's own database, and that was never made."""
    uri, own = tracking_uri(workspace), _own_database(workspace)
    return uri != f"sqlite:///{own}" or own.is_file()


def open_store(workspace: Path) -> str:
    """The URI of the store for other processes; paths in the workspace's own database follow a move before."""
    uri = tracking_uri(workspace)
    if uri == f"sqlite:///{_own_database(workspace)}":
        follow_workspace(_own_database(workspace))
    return uri


def open_client(workspace: Path) -> "MlflowClient":
    """A client of the store of this workspace."""
    from mlflow import MlflowClient

    uri = open_store(workspace)
    forget_places_of_artifacts()
    try:
        return MlflowClient(tracking_uri=uri)
    except ValueError as error:  # such as a port that is no number
        raise DeepmarkError(f"MLflow at {uri}: not a URI ({error}). Correct MLFLOW_TRACKING_URI.") from None


def get_or_create_experiment(client: "MlflowClient", workspace: Path) -> str:
    """The id of `EXPERIMENT`, which is created on first use. Raises DeepmarkError where it was deleted in MLflow."""
    from mlflow.exceptions import MlflowException

    existing = client.get_experiment_by_name(EXPERIMENT)
    if existing is None:
        try:
            return client.create_experiment(EXPERIMENT, _artifact_location(tracking_uri(workspace)))
        except MlflowException:  # another process has created it meanwhile
            existing = client.get_experiment_by_name(EXPERIMENT)
            if existing is None:
                raise
    if existing.lifecycle_stage == "deleted":
        command = mlflow_command(workspace, f"experiments restore -x {existing.experiment_id}")
        raise DeepmarkError(f"MLflow's experiment '{EXPERIMENT}' was deleted. Bring it back: {command}")
    return existing.experiment_id


def mlflow_command(workspace: Path, words: str) -> str:
    """A command of MLflow on the store of this workspace, for people to type."""
    return f"MLFLOW_TRACKING_URI={shlex.quote(redact(tracking_uri(workspace)))} mlflow {words}"


def _artifact_location(uri: str) -> str | None:
    """A folder beside a database file, because MLflow would take the current one; None lets a server choose."""
    file = uri.removeprefix("sqlite:///")
    return None if file == uri else (Path(file).resolve().parent / ARTIFACTS).as_uri()


def find_unfinished_run(client: "MlflowClient", experiment: str, identity: str) -> "Run | None":
    """The run that was started under an identity and has not finished; None where there is none."""
    runs = _runs_with_tags(client, experiment, {IDENTITY_TAG: identity})
    return next((run for run in runs if run.info.status != "FINISHED"), None)


def find_run_with_tags(client: "MlflowClient", experiment: str, tags: dict[str, str]) -> "Run | None":
    """The newest run with all of these tags; None where there is none."""
    return next(iter(_runs_with_tags(client, experiment, tags)), None)


def _runs_with_tags(client: "MlflowClient", experiment: str, tags: dict[str, str]) -> "list[Run]":
    """The newest first."""
    return client.search_runs([experiment], " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items()))


def resume_run(client: "MlflowClient", run_id: str) -> None:
    """Set an interrupted run to RUNNING, written by this process from now on."""
    client.update_run(run_id, status="RUNNING")
    client.set_tag(run_id, PROCESS_TAG, this_process())


def close_dead_runs(client: "MlflowClient", experiment: str) -> None:
    """Close runs whose process was killed on this machine as KILLED; MLflow would show them as RUNNING for ever."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        process = run.data.tags.get(PROCESS_TAG)
        if process is not None and is_dead(process):
            client.set_terminated(run.info.run_id, "KILLED")


def find_run(client: "MlflowClient", run_id: str) -> "Run | None":
    """The run with this id; None where the store has none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turn errors of MLflow, its database and the OS into a DeepmarkError that names the store; silence MLflow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns about how it uses its own libraries
        os.environ.update(_QUIET)  # before MLflow is imported, which reads it
        for name, value in _RETRIES.items():
            os.environ.setdefault(name, value)
        with extras_named():
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
            refusal = _of_the_disk(error, uri)
            if refusal is not None:
                raise DeepmarkError(explain(refusal) or str(refusal)) from error
            reason = redact(" ".join(str(error).split()))[:300]
            raise DeepmarkError(
                f"MLflow at {uri} cannot be used: {reason}\n"
                "Start its server, correct MLFLOW_TRACKING_URI, or unset it to keep runs in the workspace."
            ) from error
        except ModuleNotFoundError as error:
            if "://" not in uri or (error.name or "").partition(".")[0] not in _DRIVERS:
                raise
            raise DeepmarkError(
                f"MLflow at {uri} needs the package '{error.name}', which is not installed. {_DRIVERS_ADVICE}"
            ) from error


def _of_the_disk(error: Exception, uri: str) -> OSError | None:
    """The error of the operating system behind a refusal, where it is the disk that refuses, and not the store."""
    if isinstance(error, OSError):
        return error if error.errno in _DISK else None
    words = next((words for words in _SQLITE if words in str(error)), None)
    if words is None or not uri.startswith("sqlite:///"):
        return None
    return OSError(_SQLITE[words], words, uri.removeprefix("sqlite:///"))


@contextmanager
def as_current_store(uri: str) -> Iterator[None]:
    """Inside the block MLflow's global functions, such as those that load a model, use this store."""
    import mlflow

    previous, variable = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)  # sometimes sets the environment variable, too
    try:
        yield
    finally:
        mlflow.set_tracking_uri(previous)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if variable is not None:
            os.environ["MLFLOW_TRACKING_URI"] = variable
