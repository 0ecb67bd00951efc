"""The image files that people mean by the paths they give: files, and the images in folders."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from deepmark.errors import DeepmarkError

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpeg", ".jpg"}
    | {".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""The files that are taken from a folder; a file that is named directly may have any suffix."""

_MOST_NAMES = 5
"""Names that a note lists."""


def find_images(paths: Iterable[Path], *, note: Callable[[str], None] = lambda text: None) -> list[Path]:
    """The named files, and the images in the named folders, sorted by name; a file that is named twice counts once.

    `note` is called with a sentence about what was skipped. In folders these are other folders, broken links and hidden
    files, such as those that macOS makes.

    Raises DeepmarkError for a path that does not exist, a folder that cannot be read, and one without images.
    """
    found: dict[Path, Path] = {}
    repeated: list[str] = []
    for path in paths:
        for file in _images_in(path, note) if path.is_dir() else [_existing(path)]:
            place = Path(os.path.realpath(file.parent), file.name)
            if place in found:
                repeated.append(str(file))
            found.setdefault(place, file)
    if repeated:
        note(f"named twice, and read once: {_listed(repeated)}")
    return list(found.values())


def _existing(path: Path) -> Path:
    if not path.exists():
        what = "a broken link" if path.is_symlink() else "no such image or folder"
        raise DeepmarkError(f"{path}: {what}.")
    return path


def _images_in(folder: Path, note: Callable[[str], None]) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DeepmarkError(f"{folder}: this folder cannot be read ({error.strerror}).") from None
    images, skipped = [], []
    for entry in entries:
        if reason := _reason_to_skip(entry):
            skipped.append(f"{entry.name} ({reason})")
        elif entry.suffix.lower() in SUFFIXES:
            images.append(entry)
    if skipped:
        note(f"{folder}: skipped {_listed(skipped)}")
    if not images:
        raise DeepmarkError(f"{folder}: no images in it ({', '.join(sorted(SUFFIXES))}).")
    return images


def _reason_to_skip(entry: Path) -> str:
    """Why an entry of a folder is skipped with a note; nothing for images, and for files that nobody takes for one."""
    if entry.is_dir():
        return "a folder"
    if entry.suffix.lower() not in SUFFIXES:
        return ""
    if entry.name.startswith("."):
        return "hidden"
    return "" if entry.exists() else "a broken link"


def _listed(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
