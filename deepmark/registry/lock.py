"""One at a time in the model registry, on one machine and on many.

MLflow moves an alias without asking where it was, but no two registered models can have one name: making one called
"deepmark.lock" is taking the lock, deleting it is giving it back, in whatever store there is. The processes of one
user on one machine line up before a file first, so that a lock whose holder was killed there is taken over by one of
them only. A holder that was killed on another machine leaves its lock, because nothing here can tell that it is gone.
"""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deepmark.errors import DeepmarkError
from deepmark.tracking.mlflow_store import PROCESS_TAG
from deepmark.tracking.process_identity import is_dead, this_process

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCK = "deepmark.lock"
"""The registered model that is the lock."""

PATIENCE = 60.0
"""Seconds of waiting; registering holds the lock longest, some 5 s and the upload of a model."""


@contextmanager
def exclusive(client: "MlflowClient", uri: str) -> Iterator[None]:
    """Nobody else changes the registry while the block runs.

    Raises DeepmarkError naming the holder where one keeps the lock for more than a minute.
    """
    deadline = time.monotonic() + PATIENCE
    with _first_on_this_machine(uri, deadline):
        _take(client, deadline)
        try:
            yield
        finally:
            _give_back(client)


@contextmanager
def _first_on_this_machine(uri: str, deadline: float) -> Iterator[None]:
    name = hashlib.sha256(f"{os.getuid()} {uri}".encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"deepmark-registry-{name}.lock").open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DeepmarkError(
                        f"the model registry at {uri} is being changed by another process of this machine. "
                        "Wait for it, then try again."
                    ) from None
                time.sleep(0.05)
        yield


def _take(client: "MlflowClient", deadline: float) -> None:
    from mlflow.exceptions import MlflowException

    while True:
        try:
            client.create_registered_model(LOCK, tags={PROCESS_TAG: this_process()})
            return
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        holder = _holder(client)
        if holder == this_process():  # the store's answer to our first asking was lost
            return
        if holder is not None and is_dead(holder):
            _give_back(client)
        elif time.monotonic() > deadline:
            raise DeepmarkError(
                f"the model registry is being changed by process {holder}. Wait for it; if it is gone for good, "
                f"delete the registered model '{LOCK}' in MLflow, then try again."
            )
        else:
            time.sleep(0.2)


def _holder(client: "MlflowClient") -> str | None:
    """Who has the lock; None where it was given back just now."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(LOCK).tags.get(PROCESS_TAG)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _give_back(client: "MlflowClient") -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.delete_registered_model(LOCK)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
