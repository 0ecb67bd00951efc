"""Raw folders that are put together from others, by hard links: no byte of an image is copied."""

from collections.abc import Sequence
from pathlib import Path


def numbers_in(folder: Path) -> list[str]:
    """The names of the annotated images of a split, in order."""
    return sorted(file.stem for file in (folder / "annos").iterdir()) if (folder / "annos").is_dir() else []


def link(source: Path, names: Sequence[str], goal: Path, *, number: int = 0) -> None:
    """Hard links of images and annotations, numbered from `number` + 1."""
    for folder, suffix in (("image", "jpg"), ("annos", "json")):
        (goal / folder).mkdir(parents=True, exist_ok=True)
        for place, name in enumerate(names, number + 1):
            (goal / folder / f"{place:06d}.{suffix}").hardlink_to(source / folder / f"{name}.{suffix}")


def mix(goal: Path, parts: Sequence[tuple[Path, int]]) -> None:
    """Fill an empty folder with the first so many images of each split."""
    for source, count in parts:
        names = numbers_in(source)[:count]
        assert len(names) == count, f"{source}: {len(names)} images, and {count} are wanted"
        link(source, names, goal, number=len(numbers_in(goal)))
