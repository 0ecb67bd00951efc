"""The one place where errors become messages for people: what is wrong, where, and what to do; exit code 1."""

import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from deepmark.cli.options import check_spelling
from deepmark.cli.streams import prepare_streams
from deepmark.errors import explain, extras_named, redact

DEBUG = "DEEPMARK_DEBUG"
"""The environment variable that stands for --debug."""

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended: 128 + SIGINT."""


@contextmanager
def errors_told(command: str) -> Iterator[None]:
    """End the process with one message, which begins with `command`, where the block fails.

    The exit code is 1, and 130 after Ctrl-C. A reader of our output that ends early, as `head` does, is no failure.
    """
    prepare_streams()
    try:
        with extras_named(), _output_flushed():
            yield
    except (TyperException, typer.Exit, typer.Abort):  # how typer tells a wrong option, and the end of a command
        raise
    except KeyboardInterrupt:
        _end(f"{command}: interrupted.", INTERRUPTED)
    except Exception as error:
        if os.environ.get(DEBUG, "") not in ("", "0"):
            print(_traceback(error), file=sys.stderr)
        _end(redact(f"{command}: {explain(error) or _request_to_report(error)}"), 1)


@contextmanager
def _output_flushed() -> Iterator[None]:
    try:
        yield
    except typer.Exit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()


def _end(message: str, code: int) -> NoReturn:
    with suppress(OSError, ValueError):  # standard error may be closed as well
        print(message, file=sys.stderr, flush=True)
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        # What is left in its buffer would fail once more, with a traceback, when the interpreter ends.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _traceback(error: Exception) -> str:
    return redact("".join(traceback.format_exception(error))).rstrip()


def _request_to_report(error: Exception) -> str:
    """For an error that nobody foresaw: what it is, and where its traceback is."""
    line = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".rstrip(": ")
    try:
        with tempfile.NamedTemporaryFile(
            mode="w", encoding="utf-8", errors="backslashreplace", prefix="deepmark-", suffix=".txt", delete=False
        ) as file:
            file.write(_traceback(error))
        place = f"The traceback is in {file.name}; `deepmark --debug …` prints it."
    except OSError:
        place = "`deepmark --debug …` prints the traceback."
    return f"DeepMark has a bug, or met something unknown ({line}). Please report it with what you did. {place}"


class Commands(TyperGroup):
    """The commands, with their errors told as messages."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with errors_told("deepmark"):  # the general help is printed here
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with errors_told(f"deepmark {next((word for word in sys.argv[1:] if word in self.commands), '')}".strip()):
            check_spelling(sys.argv[1:])
            return super().invoke(ctx)
