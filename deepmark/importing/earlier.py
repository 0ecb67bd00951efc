"""The list of what an import wrote: by it an image keeps its number when it is imported anew.

A number is never given to another image: those that are gone stay in the list, without a split.
"""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from deepmark.data.ingest.ingest import VOCABULARY_FILE
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, new_file
from deepmark.importing.split import SPLITS

LIST = "imported.csv"
"""In the folder of the raw data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """An image of the raw data, now or once."""

    number: int
    image: str
    """As the source calls it."""

    split: str
    """Empty where it is gone."""

    annotation_sha256: str
    """Of its annotation file as it was imported."""


_COLUMNS = tuple(field.name for field in fields(Imported))


def write_set_aside(file: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write the images that were set aside, with the reasons, in the place of an earlier list."""
    with new_file(file) as draft:
        _write_csv(draft, ("image", "reason"), sorted(rows))


def _write_csv(path: Path, columns: Iterable[str], rows: Iterable[tuple[object, ...]]) -> None:
    """A table whose texts may be names of files that are not UTF-8."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_imported(folder: Path, rows: Iterable[Imported]) -> None:
    """Write the list into a folder of raw data, by number."""
    _write_csv(folder / LIST, _COLUMNS, map(astuple, sorted(rows, key=lambda row: row.number)))


def imported(raw: Path) -> list[Imported]:
    """What imports wrote into this folder, with what is gone since; nothing where none did."""
    file = raw / LIST
    return _read(file) if file.is_file() else []


def earlier_import(raw: Path, *, replace: bool) -> list[Imported]:
    """What was imported into this folder before; nothing where it is new or empty.

    Raises DeepmarkError where the folder holds anything else, where an earlier import is not to be replaced, and where
    somebody has changed a file of it since.
    """
    if not raw.exists() or (raw.is_dir() and not any(raw.iterdir())):
        return []
    file = raw / LIST
    if not file.is_file():
        raise DeepmarkError(f"{raw}: is there already. Move it away, or import into a new workspace.")
    if not replace:
        raise DeepmarkError(
            f"{raw}: holds an earlier import. --replace puts the images of this file in its place, where images keep "
            "their numbers and new ones get new numbers. Or import into a new workspace."
        )
    rows = _read(file)
    _check_untouched(raw, rows)
    return rows


def _read(file: Path) -> list[Imported]:
    try:
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as text:
            rows = [Imported(number=int(row.pop("number")), **row) for row in csv.DictReader(text, strict=True)]
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise DeepmarkError(
            f"{file}: is not as `deepmark import` wrote it ({type(error).__name__}: {error}). Put it back, or move "
            f"{file.parent} away; images are numbered anew then."
        ) from None
    return rows


def _check_untouched(raw: Path, rows: Iterable[Imported]) -> None:
    """Raise DeepmarkError where the folder holds a file of somebody else's, or an annotation that was changed."""
    digests = {raw / row.split / f"annos/{row.number:06d}.json": row.annotation_sha256 for row in rows if row.split}
    images = {raw / row.split / f"image/{row.number:06d}.jpg" for row in rows if row.split}
    own = images | {raw / LIST} | {raw / split / VOCABULARY_FILE for split in SPLITS}
    for path in sorted(raw.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        if path not in own and path not in digests:
            raise DeepmarkError(f"{path}: no import wrote it, and it would be lost. Move it away.")
        if path in digests and file_sha256(path) != digests[path]:
            raise DeepmarkError(
                f"{path}: has been changed since it was imported, and the change would be lost. Make it in the "
                f"labelling tool, or move {raw} away; images are numbered anew then."
            )
