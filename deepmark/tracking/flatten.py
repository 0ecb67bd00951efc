"""Nested dictionaries as flat names and values."""

from collections.abc import Iterator
from typing import Any


def flatten(tree: dict[str, Any], separator: str = ".") -> Iterator[tuple[str, Any]]:
    """The leaves of nested dictionaries, each named by the keys on the path to it: "train.epochs"."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from ((f"{key}{separator}{name}", leaf) for name, leaf in flatten(value, separator))
        else:
            yield key, value
