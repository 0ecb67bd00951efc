"""Writes files and folders whole or not at all: under a temporary name, flushed, then renamed."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError

UNFINISHED = ".unfinished"
"""The suffix of a file or folder that is still being written."""


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
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + UNFINISHED)
    try:
        yield draft
        _flush(draft)
        draft.replace(path)
        _flush(path.parent)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill. It replaces `path` when the block succeeds, and is deleted when it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft, old = path.with_name(path.name + UNFINISHED), path.with_name(path.name + ".old")
    _remove(draft)
    if old.exists() and not path.exists():  # a process was killed between the two renames below
        old.rename(path)
    draft.mkdir()
    try:
        yield draft
        for file in draft.rglob("*"):
            _flush(file)
        _remove(old)
        if path.exists():
            path.rename(old)
        draft.rename(path)
        _flush(path.parent)
        _remove(old)
    finally:
        _remove(draft)


def require_file(path: Path, maker: str) -> Path:
    """The path if it exists; otherwise raises DeepmarkError with `maker`, the command that makes it."""
    if not path.exists():
        raise DeepmarkError(f"{path}: not there yet. Make it with `{maker}`, or everything with `dvc repro`.")
    return path


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
