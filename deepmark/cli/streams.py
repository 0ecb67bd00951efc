"""Standard output and error of a command: any name can be printed, and a reader that ends early stops nothing."""

import io
import os
import sys
from typing import IO, Any, cast

_NAMES = {1: "standard output", 2: "standard error"}


class _Output(io.FileIO):
    """A descriptor that drops what is written once its reader has ended, as `head` does; other errors name it."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # also for child processes, and for libraries that write to the descriptor
            os.close(nowhere)
            return len(data)
        except OSError as error:
            error.filename = _NAMES.get(self.fileno())
            raise


def prepare_streams() -> None:
    """Make printing safe, before anything is printed.

    What the terminal's encoding lacks is printed as \\xe9, \\u2026 or \\udce9. Where the reader has ended, the command
    goes on to its end and exits with a code of its own. A descriptor that was closed from the start holds nothing.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            if type(getattr(stream.buffer, "raw", stream.buffer)) is io.FileIO:
                setattr(sys, name, _safe(stream))
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _safe(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    raw = _Output(stream.fileno(), "w", closefd=False)
    unbuffered = isinstance(stream.buffer, io.FileIO)  # by PYTHONUNBUFFERED
    return io.TextIOWrapper(
        cast(IO[bytes], raw if unbuffered else io.BufferedWriter(raw)),
        stream.encoding,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
