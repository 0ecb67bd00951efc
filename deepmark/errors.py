"""The one kind of failure that is the user's to mend."""

import difflib
from collections.abc import Iterable


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
