"""Which split an image belongs to: decided by its group alone, so that it stays where it is when others come."""

import hashlib
import re

from deepmark.errors import DeepmarkError

SPLITS = ("train", "validation", "test")


def share_of(group: str) -> float:
    """A number in [0, 1) that a group has for ever."""
    return int.from_bytes(hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()[:8]) / 2**64


def split_of(group: str, *, validation: float, test: float) -> str:
    """The split of a group of images, with these shares of the groups."""
    share = share_of(group)
    if share < test:
        return "test"
    return "validation" if share < test + validation else "train"


def pair_of(group: str) -> int:
    """The pair_id of the images of a group: below 2 ** 48, and the same whatever else is in the data."""
    return int.from_bytes(hashlib.sha256(f"pair {group}".encode("utf-8", "surrogateescape")).digest()[:6])


def group_pattern(text: str | None) -> re.Pattern[str] | None:
    """The expression of --group-by, whose first group names the group of an image.

    Raises DeepmarkError where it is none, or has no group.
    """
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise DeepmarkError(f"--group-by {text!r}: is no regular expression ({error}).") from None
    if not pattern.groups:
        raise DeepmarkError(
            f"--group-by {text!r}: put what images of one product share in ( ), as in '^([A-Z]+[0-9]+)_'."
        )
    return pattern


def group_of(name: str, pattern: re.Pattern[str] | None) -> str:
    """What the images of one product have in common; the name itself where there is no pattern or it does not match."""
    found = pattern.search(name) if pattern else None
    return name if found is None or found[1] is None else found[1]
