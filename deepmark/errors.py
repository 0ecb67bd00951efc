"""The errors of DeepMark, and what their messages share.

    DeepmarkError          a mistake of the user: the command line prints the message and exits with 1
      RefusedError         registry.promote: the gate refuses the challenger
      RankError            train.distributed.launch: a training process died; the message holds its traceback
      MissingFileError     data.shards.remote: the storage has no such file
      LostMachineError     train.distributed.peer_watchdog: another machine left the training
    StoppedError           train.distributed.stop_signal: all processes stopped after the same step, for a signal
    InvalidInputError      data.ingest.strict_json: an input is unusable; ingest rejects and counts it
    StageFailedError       assets.dvc.repro: the command of a stage, or DVC, exited with an error
      StageEndedError      assets.dvc.repro: the stage was ended from outside, and is to be tried again

A mistake of our own is an assert or a ValueError, and keeps its traceback.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from deepmark.redact import redact

EXTRAS = {
    "dagster": "pipeline",
    "dagster_pipes": "train",
    "dagster_postgres": "postgres",
    "dvc": "pipeline",
    "jinja2": "train",
    "matplotlib": "train",
    "mlflow": "train",
    "psutil": "train",
    "sqlalchemy": "train",
    "webdataset": "train",
}
"""The extra of pyproject.toml that installs a module; every other module that we import comes with the base."""


class DeepmarkError(Exception):
    """A mistake in what we were given: the message says what, where, and what to do next, and shows no secret."""

    def __init__(self, message: str = "") -> None:
        super().__init__(redact(message))


def nearest(word: str, choices: Iterable[str]) -> str:
    """'Did you mean …?' when a choice is close, otherwise the list of choices."""
    names = [str(choice) for choice in choices]
    close = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Choose one of: {', '.join(names)}."


def missing_extra(extra: str) -> DeepmarkError:
    """The error for a command or function whose extra is not installed."""
    return DeepmarkError(f"this needs the extra '{extra}': pip install 'deepmark[{extra}]'")


@contextmanager
def extras_named() -> Iterator[None]:
    """Turn the ModuleNotFoundError of a package that an extra installs into a DeepmarkError that names the extra.

    A module that is missing for any other reason, one of our own included, keeps its error and traceback.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS or find_spec(package) is not None:
            raise
        raise missing_extra(EXTRAS[package]) from error
