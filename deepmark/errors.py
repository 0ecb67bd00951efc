"""The one kind of failure that is the user's to mend."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

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
    """A mistake in what we were given: the message says what, where, and what to do next.

    The command line prints the message alone and exits with 1. A mistake of our own is an assert or a ValueError,
    and keeps its traceback.
    """


def nearest(word: str, choices: Iterable[str]) -> str:
    """'Did you mean …?' when a choice is close, otherwise the list of choices."""
    names = [str(choice) for choice in choices]
    close = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Choose one of: {', '.join(names)}."


def missing_extra(extra: str) -> DeepmarkError:
    """What to say where something needs an extra that is not installed."""
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
