"""A lock on the model registry, so that one process at a time changes it, on one machine and on many.

MLflow moves an alias without checking where it was, but it refuses a second registered model of one name, whatever the
store. So the lock is a registered model named "deepmark.lock": creating it takes the lock, deleting it releases it. The
processes of one user on one machine wait for a file lock first: where the holder was killed on this machine, only one
of them then takes over its registered model. A holder that was killed on another machine leaves its lock behind,
because nothing here can tell that it is gone.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import AcquireReturnProxy, FileLock, Timeout

from deepmark.errors import DeepmarkError
from deepmark.tracking.mlflow_store import PROCESS_TAG
from deepmark.tracking.process_identity import is_dead, this_process

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCK_MODEL = "deepmark.lock"
"""The registered model that is the lock."""

TIMEOUT_SECONDS = 60.0
"""The longest wait; registering holds the lock longest, some 5 s and the upload of a model."""


@contextmanager
def exclusive(client: "MlflowClient", uri: str) -> Iterator[None]:
    """Nobody else changes the registry while the block runs.

    Raises DeepmarkError, naming the holder, where the lock is not free within a minute.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    with _lock_on_this_machine(uri):
        _acquire(client, deadline)
        try:
            yield
        finally:
            _release(client)


def _lock_on_this_machine(uri: str) -> AcquireReturnProxy:
    name = hashlib.sha256(f"{os.getuid()} {uri}".encode()).hexdigest()[:16]
    try:
        return FileLock(Path(tempfile.gettempdir()) / f"deepmark-registry-{name}.lock").acquire(TIMEOUT_SECONDS)
    except Timeout:
        raise DeepmarkError(
            f"the model registry at {uri} is being changed by another process of this machine. "
            "Wait for it, then try again."
        ) from None


def _acquire(client: "MlflowClient", deadline: float) -> None:
    from mlflow.exceptions import MlflowException

    while True:
        try:
            client.create_registered_model(LOCK_MODEL, tags={PROCESS_TAG: this_process()})
            return
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        holder = _holder(client)
        if holder == this_process():  # the first request was carried out, and its answer was lost
            return
        if holder is not None and is_dead(holder):
            _release(client)
        elif time.monotonic() > deadline:
            raise DeepmarkError(
                f"the model registry is being changed by process {holder}. Wait for it; if it is gone for good, "
                f"delete the registered model '{LOCK_MODEL}' in MLflow, then try again."
            )
        else:
            time.sleep(0.2)


def _holder(client: "MlflowClient") -> str | None:
    """The process that holds the lock; None where it was released just now."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(LOCK_MODEL).tags.get(PROCESS_TAG)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _release(client: "MlflowClient") -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.delete_registered_model(LOCK_MODEL)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
