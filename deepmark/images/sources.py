"""The bytes of an image file, from wherever people have it: a path, a URL, or an open file."""

import os
import re
import stat
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from deepmark.errors import DeepmarkError

MAX_BYTES = 400_000_000
"""Larger files are not read; 50 megapixels of four channels of 16 bits take as much."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@runtime_checkable
class BinaryFile(Protocol):
    """A file that is open for reading bytes."""

    def read(self, size: int = -1, /) -> Any: ...


def is_url(text: str) -> bool:
    """Whether a string is a URL, of any scheme, and not a path."""
    return _URL.match(text) is not None


def read_source(source: str | os.PathLike[str] | BinaryFile, name: str) -> bytes:
    """All bytes of a file; `name` stands in messages.

    A file that can seek is read from its start, as Pillow reads it, and can be read again; another from where it is.
    Raises DeepmarkError where the file is missing, none, too long or cannot be read, and what `download` raises.
    """
    if isinstance(source, str) and is_url(source):
        from deepmark.images.download import download

        return download(source)
    return _read_path(source, name) if isinstance(source, str | os.PathLike) else _read_open_file(source, name)


def _read_path(path: str | os.PathLike[str], name: str) -> bytes:
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise DeepmarkError(f"{name}: a folder. Name an image in it.")
        if not stat.S_ISREG(status.st_mode):
            raise DeepmarkError(f"{name}: a pipe or a device. Name a file.")
        if status.st_size > MAX_BYTES:
            raise DeepmarkError(f"{name}: {status.st_size:,} bytes, more than {MAX_BYTES:,}; shrink the image first.")
        return Path(path).read_bytes()
    except FileNotFoundError:
        what = "a broken link" if Path(path).is_symlink() else "no such file"
        raise DeepmarkError(f"{name}: {what}.") from None
    except PermissionError:
        raise DeepmarkError(f"{name}: you may not read it. Change its permissions, or those of its folder.") from None
    except (OSError, ValueError) as error:  # ValueError for a name with a null byte
        raise DeepmarkError(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None


def _read_open_file(file: Any, name: str) -> bytes:
    try:
        if getattr(file, "seekable", lambda: False)():
            file.seek(0)
        parts, length = [], 0
        while length <= MAX_BYTES and (part := file.read(MAX_BYTES + 1 - length)):
            if not isinstance(part, bytes | bytearray | memoryview):
                raise DeepmarkError(
                    f"{name}: a file whose read() gives {type(part).__name__}, not bytes. Open it with mode 'rb'."
                )
            parts.append(part)
            length += len(part)
    except (OSError, ValueError) as error:  # ValueError for a file that was closed
        raise DeepmarkError(
            f"{name}: cannot be read ({str(getattr(error, 'strerror', None) or error).rstrip('.')})."
        ) from None
    if length > MAX_BYTES:
        raise DeepmarkError(f"{name}: more than {MAX_BYTES:,} bytes; shrink the image first.")
    return b"".join(parts)
