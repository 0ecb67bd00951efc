"""The images that people mean by what they name: files, folders, patterns, URLs, and `-` for standard input."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from deepmark.errors import DeepmarkError
from deepmark.images import is_url
from deepmark.video.read_video import SUFFIXES as SUFFIXES_OF_VIDEOS
from deepmark.video.read_video import camera_number

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpeg", ".jpg"}
    | {".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""The files that are taken from a folder; a file that is named directly may have any suffix."""

STANDARD_INPUT = "-"

Source = Path | str
"""A path, a URL, or STANDARD_INPUT."""

_MOST_NAMES = 5
"""Names that a note lists."""


def find_images(
    sources: Iterable[Source], *, recursive: bool = False, note: Callable[[str], None] = lambda text: None
) -> list[Source]:
    """The named files and URLs, the files that patterns match, and the images in named folders, sorted by name.

    With `recursive`, also those in the folders of folders. A file that is named twice counts once. `note` is called
    with a sentence about what was skipped: in folders these are other folders, broken links and hidden files, such as
    those that macOS makes.

    Raises DeepmarkError for a path that does not exist, a pattern that matches nothing, a video, a camera, a folder
    that cannot be read, and one without images; and for standard input beside others.
    """
    found: dict[Source, Source] = {}
    repeated: list[str] = []
    for source in (one for given in sources for one in _named(given)):
        for file in _images_in(source, recursive, note) if isinstance(source, Path) and source.is_dir() else [source]:
            place = Path(os.path.realpath(file.parent), file.name) if isinstance(file, Path) else file
            if place in found:
                repeated.append(str(file))
            found.setdefault(place, file)
    if STANDARD_INPUT in found and len(found) > 1:
        raise DeepmarkError("-: standard input is one image, and is named alone. --json prints to standard output.")
    if repeated:
        note(f"named twice, and read once: {_listed(repeated)}")
    return list(found.values())


def _named(source: Source) -> list[Source]:
    """What a person named: a path that is there, the paths that a pattern matches, a URL, or standard input."""
    if isinstance(source, str) and (source == STANDARD_INPUT or is_url(source)):
        return [source]
    path = Path(source)
    if path.exists():
        return [_not_a_video(path)]
    if camera_number(source) is not None:
        raise DeepmarkError(f"{source}: no such image or folder; a camera is named alone.")
    if glob.has_magic(str(source)):
        matches = sorted(glob.glob(str(source), recursive=True))  # noqa: PTH207  # Path.glob takes no absolute one
        if not matches:
            raise DeepmarkError(f"{source}: no file matches this pattern. Check its folder, and ** for all folders.")
        return [_not_a_video(Path(match)) for match in matches]
    what = "a broken link" if path.is_symlink() else "no such image or folder"
    raise DeepmarkError(f"{path}: {what}.")


def is_video(source: Source) -> bool:
    """Whether a source is a video file by its ending, or the number of a camera where no file has this name."""
    path = Path(source)
    return (camera_number(source) is not None and not path.exists()) or (
        path.suffix.lower() in SUFFIXES_OF_VIDEOS and not path.is_dir() and not is_url(str(source))
    )


def _not_a_video(path: Path) -> Path:
    if is_video(path):
        raise DeepmarkError(f"{path}: a video, and is named alone: its garments have numbers from frame to frame.")
    return path


def _images_in(folder: Path, recursive: bool, note: Callable[[str], None]) -> list[Path]:
    images, skipped = [], []
    for entry in _entries(folder, recursive):
        if reason := _reason_to_skip(entry):
            skipped.append(f"{entry.relative_to(folder)} ({reason})")
        elif entry.suffix.lower() in SUFFIXES:
            images.append(entry)
    if skipped:
        note(f"{folder}: skipped {_listed(skipped)}")
    if not images:
        has_folders = not recursive and any(entry.is_dir() for entry in folder.iterdir())
        remedy = " --recursive also reads the folders in it." if has_folders else ""
        raise DeepmarkError(f"{folder}: no images in it ({', '.join(sorted(SUFFIXES))}).{remedy}")
    return images


def _entries(folder: Path, recursive: bool) -> Iterator[Path]:
    """What a folder holds, sorted; with `recursive`, what its folders hold, too, except hidden and linked ones."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DeepmarkError(f"{folder}: this folder cannot be read ({error.strerror}).") from None
    for entry in entries:
        if recursive and entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            yield from _entries(entry, recursive)
        else:
            yield entry


def _reason_to_skip(entry: Path) -> str:
    """Why an entry of a folder is skipped with a note; nothing for images, and for files that nobody takes for one."""
    if entry.is_dir():
        return "a folder"
    if entry.suffix.lower() not in SUFFIXES:
        return ""
    if entry.name.startswith("."):
        return "hidden"
    if not entry.exists():
        return "a broken link"
    return "" if entry.is_file() else "not a file"


def _listed(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
