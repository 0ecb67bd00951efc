"""Files that carry the sha256 of their own bytes, so that damage is told and never taken for a result.

A file with a digest holds the text "deepmark-sha256:" and 64 hexadecimal digits once, near its beginning or its end:
JSON as its last value, Parquet in the metadata of its footer, safetensors in its header. The digits are the sha256 of
the file with zeros in their place. A file without that text, such as one of an earlier release, is not checked.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, new_file, require_file

if TYPE_CHECKING:
    import pandas as pd

_ZEROS = "0" * 64
NO_DIGEST = f"deepmark-sha256:{_ZEROS}"
"""The text to write into a file; `new_file_with_digest` replaces its zeros by the digest."""

_DIGEST = re.compile(rb"deepmark-sha256:(.{64})", re.DOTALL)  # of any bytes: a digit may be damaged too
_EDGES = 2**16, 2**22
"""Bytes at the beginning and at the end of a file in which the digest is looked for, the few first.

The many are for a large vocabulary beside it: forty categories take 110 KB, in Parquet 250.
"""

_OWN, _OTHERS = "digest", "sha256"
"""The last fields of a JSON file: its own digest, and those of files that belong to it.

Lists of text, because `dvc metrics show` prints numbers and text, and leaves lists out.
"""


@contextmanager
def new_file_with_digest(path: Path) -> Iterator[Path]:
    """As `files.new_file`, for a file into which `NO_DIGEST` is written: the digest is filled in at the end."""
    with new_file(path) as draft:
        yield draft
        with draft.open("r+b") as file:
            place = _find(file)
            if place is None:
                raise ValueError(f"{draft}: no digest within {_EDGES[-1]} bytes of either end")
            digits = _sha256(file, place).encode()
            file.seek(place)
            file.write(digits)


def is_intact(path: Path) -> bool | None:
    """Whether a file has the digest that it carries; None where it carries none.

    Raises OSError where it cannot be read.
    """
    with path.open("rb") as file:
        place = _find(file)
        if place is None:
            return None
        computed = _sha256(file, place)
        file.seek(place)
        return file.read(len(_ZEROS)).decode("ascii", "replace") == computed


def check_digest(path: Path, remedy: str) -> None:
    """Compare a file with the digest that it carries; a file without one passes.

    Raises DeepmarkError, which ends with `remedy`, where they differ; OSError where the file cannot be read.
    """
    if is_intact(path) is False:
        raise DeepmarkError(f"{path}: damaged: its bytes are not those that were written. {remedy}")


def write_json_with_digest(path: Path, values: Mapping[str, Any], *, files: Iterable[Path] = ()) -> None:
    """Write indented JSON with its digest, and with the sha256 of `files`, which lie in the folder above `path`'s."""
    root = path.parent.parent
    lines = [f"{file_sha256(file)}  {file.relative_to(root).as_posix()}" for file in files]
    content = {**values, **({_OTHERS: lines} if lines else {}), _OWN: [NO_DIGEST]}
    with new_file_with_digest(path) as draft:
        draft.write_text(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")


def read_json_with_digest(path: Path, maker: str) -> dict[str, Any]:
    """The values that were given to `write_json_with_digest`; also of a JSON file without a digest.

    Raises DeepmarkError, naming `maker`, the command that makes the file, where it is missing or damaged.
    """
    values = _read(path, maker)
    return {name: value for name, value in values.items() if name not in (_OWN, _OTHERS)}


def check_files(path: Path, files: Iterable[Path], maker: str) -> None:
    """Compare files with the sha256 sums in a JSON file; one that it does not list, or that is not there, passes.

    Raises DeepmarkError, naming `maker`, for the first that differs.
    """
    lines = [str(line).partition("  ") for line in _read(path, maker).get(_OTHERS, [])]
    listed = {name: digits for digits, _, name in lines}
    for file in files:
        known = listed.get(file.relative_to(path.parent.parent).as_posix())
        if known is not None and file.is_file() and file_sha256(file) != known:
            raise DeepmarkError(
                f"{file}: damaged, or not the one that {path} was written with (its sha256 is another). "
                f"Run `{maker}` again."
            )


def read_listed_csv(path: Path, *, listed_in: Path, columns: Mapping[str, str | None], maker: str) -> "pd.DataFrame":
    """The table of a CSV file whose sha256 stands in a JSON file; `columns` has the types of those it must have.

    Raises DeepmarkError, naming `maker`, where it is missing, is damaged, or is not the one that the JSON file lists.
    """
    import pandas as pd

    check_files(listed_in, [require_file(path, maker)], maker)
    try:
        frame = pd.read_csv(path, dtype={name: kind for name, kind in columns.items() if kind})
    except ValueError as error:
        raise damaged(path, str(error), maker) from None
    missing = columns.keys() - frame.columns
    if missing:
        raise damaged(path, f"it has no column '{min(missing)}'", maker)
    return frame


def damaged(path: Path, fault: str, maker: str) -> DeepmarkError:
    """The error for a file of ours that is not what `maker`, a command, wrote."""
    return DeepmarkError(f"{path}: damaged ({fault}). Run `{maker}` again.")


def _read(path: Path, maker: str) -> dict[str, Any]:
    remedy = f"Run `{maker}` again."
    check_digest(require_file(path, maker), remedy)
    try:
        values = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DeepmarkError(f"{path}: damaged, or not JSON ({error}). {remedy}") from None
    if not isinstance(values, dict):
        raise DeepmarkError(f"{path}: damaged, or not what was written: {type(values).__name__}, not fields. {remedy}")
    return values


def _find(file: BinaryIO) -> int | None:
    """The position of the digits."""
    size = file.seek(0, 2)
    for edge in _EDGES:
        for start in (0, max(0, size - edge)):
            file.seek(start)
            found = _DIGEST.search(file.read(edge))
            if found:
                return start + found.start(1)
        if edge >= size:
            break
    return None


def _sha256(file: BinaryIO, place: int) -> str:
    """The sha256 of the file with zeros for the digits at `place`."""
    digest = hashlib.sha256()
    file.seek(0)
    _update(digest, file, place)
    digest.update(_ZEROS.encode())
    file.seek(place + len(_ZEROS))
    _update(digest, file, None)
    return digest.hexdigest()


def _update(digest: "hashlib._Hash", file: BinaryIO, size: int | None) -> None:
    """Take in `size` bytes, or all that are left."""
    while block := file.read(2**20 if size is None else min(2**20, size)):
        digest.update(block)
        if size is not None:
            size -= len(block)
