"""MLflow's store: where it is, how it is reached, and the runs in it."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deepmark.errors import DeepmarkError
from deepmark.tracking.process_identity import is_dead, this_process

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT = "deepmark"

PROCESS_TAG = "deepmark.process"
"""The tag with the process that writes a run: host, number and time of birth."""

IDENTITY_TAG = "deepmark.run"
"""The tag by which a training finds its run again that was killed before its first checkpoint."""


_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
_PATIENCE = {
    # MLflow's own are 7 retries of 120 s: an address with a typo would hang a training for a quarter of an hour.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def tracking_uri(workspace: Path) -> str:
    """Where runs are kept: $MLFLOW_TRACKING_URI, or a database file in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace.resolve()}/mlflow.db"


def open_client(workspace: Path) -> "MlflowClient":
    """A connection to the store of this workspace."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri(workspace))


def experiment_id(client: "MlflowClient", workspace: Path) -> str:
    """The id of our experiment, made on first use; a database in a file keeps artifacts beside itself."""
    from mlflow.exceptions import MlflowException

    known = client.get_experiment_by_name(EXPERIMENT)
    if known is not None:
        return known.experiment_id
    try:
        return client.create_experiment(EXPERIMENT, _artifacts(tracking_uri(workspace)))
    except MlflowException:  # another process was quicker
        known = client.get_experiment_by_name(EXPERIMENT)
        if known is None:
            raise
        return known.experiment_id


def _artifacts(uri: str) -> str | None:
    """Beside a database in a file; a server chooses. Else MLflow takes a folder below wherever the process runs."""
    file = uri.removeprefix("sqlite:///")
    return None if file == uri else (Path(file).resolve().parent / "mlartifacts").as_uri()


def find_unfinished_run(client: "MlflowClient", experiment: str, identity: str) -> "Run | None":
    """The run that was begun under an identity and did not end."""
    found = client.search_runs([experiment], f"tags.`{IDENTITY_TAG}` = '{identity}'")
    return next((run for run in found if run.info.status != "FINISHED"), None)


def resume_run(client: "MlflowClient", run_id: str) -> None:
    """A run that was cut short runs, and this process writes it."""
    client.update_run(run_id, status="RUNNING")
    client.set_tag(run_id, PROCESS_TAG, this_process())


def close_dead_runs(client: "MlflowClient", experiment: str) -> None:
    """Runs whose process was killed on this machine would stay RUNNING for ever: close them as KILLED."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        process = run.data.tags.get(PROCESS_TAG)
        if process is not None and is_dead(process):
            client.set_terminated(run.info.run_id, "KILLED")


def find_run(client: "MlflowClient", run_id: str) -> "Run | None":
    """The run of this id; None where the store has none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """MLflow's many ways of saying that its store is not there, as one message for the user; its warnings, as none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its own use of its own libraries
        os.environ.update(_QUIET)  # before the import, which reads it
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = " ".join(str(error).split())[:300]
            raise DeepmarkError(
                f"MLflow at {uri} cannot be used: {reason}\n"
                "Start its server, correct MLFLOW_TRACKING_URI, or unset it to keep runs in the workspace."
            ) from error


@contextmanager
def as_current_store(uri: str) -> Iterator[None]:
    """What MLflow does by itself, such as loading a model, it does with this store; afterwards with the one before."""
    import mlflow

    before, variable = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)  # which sets the variable too, sometimes
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if variable is not None:
            os.environ["MLFLOW_TRACKING_URI"] = variable
