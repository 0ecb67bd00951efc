"""Writes files and folders whole or not at all: under a temporary name, flushed, then renamed."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from deepmark.errors import DeepmarkError

UNFINISHED = ".unfinished"
"""The suffix of a folder in which a file or a folder is being written."""

_NAMELESS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of writing, for which the operating system names no file."""


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to. It replaces `path` when the block succeeds, and is deleted when it fails."""
    with _draft_folder(path) as folder:
        draft = folder / path.name
        yield draft
        _finish([draft], folder)
        draft.replace(path)
        _flush(path.parent)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill. It replaces `path` when the block succeeds, and is deleted when it fails."""
    with _draft_folder(path) as folder:
        draft = folder / path.name
        draft.mkdir()
        yield draft
        _finish(draft.rglob("*"), folder)
        with _locked(path.parent):  # another process may be replacing the same folder
            if path.exists():
                path.rename(_old(folder, path))
            draft.rename(path)
            _flush(path.parent)


def _finish(drafts: Iterable[Path], folder: Path) -> None:
    """Flush what was written, with the permissions that new files have: safetensors gives them to nobody else."""
    usual = folder.stat().st_mode & 0o666
    for draft in drafts:
        status = draft.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:  # otherwise it is also somebody's file elsewhere
            draft.chmod(usual)
        _flush(draft)


@contextmanager
def unique_file(path: Path) -> Iterator[BinaryIO]:
    """A new file to write to, flushed and renamed to `path` when the block succeeds, deleted when it fails.

    It has a name of its own, so that another machine may write the same file at the same time and has no need of a
    lock: where a machine counts as lost and goes on, the file is whole whoever renames last.
    """
    draft = path.with_name(f"{path.name}.{uuid4().hex}{UNFINISHED}")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _draft_folder(path: Path) -> Iterator[Path]:
    with _named(path), scratch_folder(path) as folder:
        yield folder


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` for this process alone, which is deleted in the end.

    Its lock is released when this process ends, however it ends: a folder that nobody holds is what a killed process
    left behind. Usually it is `path`.unfinished; where another process is writing the same, `path`.2.unfinished.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = _numbered(path, number)
        lock = _lock(folder)
        if lock is None:
            continue
        try:
            _clear(folder, path)
            _remove_abandoned(path, number + 1)
            yield folder
        finally:
            _clear(folder, path)
            _remove(folder)
            os.close(lock)
        return


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}{f'.{number}' if number > 1 else ''}{UNFINISHED}")


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock of a folder, which is made where it is missing; None where another has it."""
    while True:
        if folder.exists() and not folder.is_dir():
            folder.unlink(missing_ok=True)  # the draft of an earlier release
        folder.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # the other has just deleted it
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError:  # a file system without locks
                return descriptor
            if folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
            os.close(descriptor)


def _clear(folder: Path, path: Path) -> None:
    """Empty a folder of drafts; what was moved into it to be replaced, and was not replaced, goes back to its place."""
    old = _old(folder, path)
    if old.exists() and not path.exists():
        old.rename(path)
    for left in folder.iterdir():
        _remove(left)


def _old(folder: Path, path: Path) -> Path:
    return folder / f"{path.name}.old"


def _remove_abandoned(path: Path, first: int) -> None:
    """Remove the folders of drafts with this number and the following ones that killed processes left."""
    for number in count(first):
        folder = _numbered(path, number)
        if not folder.is_dir():
            return
        lock = _lock(folder)
        if lock is not None:
            _clear(folder, path)
            _remove(folder)
            os.close(lock)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let errors of writing name what was to be written, and not its draft."""
    try:
        yield
    except OSError as error:
        nameless = error.filename is None and error.errno in _NAMELESS
        if nameless or UNFINISHED in os.fsdecode(error.filename or ""):
            error.filename = str(path)
        raise
    except Exception as error:
        error.add_note(f"while writing {path}")
        raise


def require_file(path: Path, maker: str) -> Path:
    """The path if it exists; otherwise raises DeepmarkError with `maker`, the command that makes it."""
    if not path.exists():
        raise DeepmarkError(f"{path}: not there yet. Make it with `{maker}`, or everything with `dvc repro`.")
    return path


def require_space(path: Path, needed: float) -> None:
    """Raise DeepmarkError where the disk of `path`, which need not exist yet, has less free space than `needed` bytes.

    `needed` is a lower estimate: what can be written is never refused, and a disk may still run full.
    """
    existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DeepmarkError(
            f"{path}: needs about {_size(needed)}, and only {_size(free)} are free on the disk of {existing}. "
            "Free some space, or use a place on another disk."
        )


def _size(count: float) -> str:
    """Bytes for people: 1.3 GiB, 870 MiB, 12 KiB."""
    unit, power = next((pair for pair in (("GiB", 30), ("MiB", 20)) if count >= 2 ** pair[1]), ("KiB", 10))
    value = count / 2**power
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2g} {unit}"


def write_text(path: Path, text: str) -> None:
    """Write the whole text, or leave the file as it was."""
    with new_file(path) as draft:
        draft.write_text(text, "utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON without loss of digits; raises ValueError for NaN and infinity."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def file_sha256(path: Path) -> str:
    """The sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
