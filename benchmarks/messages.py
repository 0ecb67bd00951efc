"""How a benchmark ends where a user can mend what is wrong: with one message."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from deepmark.errors import DeepmarkError, explain, extras_named


@contextmanager
def one_message(program: str) -> Iterator[None]:
    """End the program with one message, and exit code 1, for what a user can mend."""
    try:
        with extras_named():
            yield
    except (DeepmarkError, OSError) as error:
        sys.exit(f"{program}: {explain(error)}")
