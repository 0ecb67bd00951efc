"""Adds and removes entries in the text of a YAML file, line by line, so that all else that people wrote stays as it is.

For files in block style, such as params.yaml and dvc.yaml; the caller checks that the result says what it should.
"""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_KEY = re.compile(r"( *)([\w-]+):(?= |$)")
_ENTRY = re.compile(r"(?P<key>\s*[\w-]+: *)(?P<value>.*?)(?P<comment>\s*#.*)?$")


def load_yaml(text: str) -> Any:
    """What a text of YAML says; None where it is none."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return None


def edited_yaml(text: str, edit: Callable[[Any], bool]) -> str:
    """The text of a file that a program wrote, such as dvc.lock, after a change; `edit` returns whether it made one."""
    yaml = YAML()
    yaml.width = 2**16
    tree, out = yaml.load(text), io.StringIO()
    if not edit(tree):
        return text
    yaml.dump(tree, out)
    return out.getvalue()


def spans(lines: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Dotted name of every key -> its first line, and the line after the last that belongs to it."""
    found: dict[str, tuple[int, int]] = {}
    path: list[tuple[int, str]] = []  # indent and name of the keys that are open
    for number, line in enumerate(lines):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        indent = len(line) - len(line.lstrip())
        key = _KEY.match(line)
        while path and (path[-1][0] > indent or (key and path[-1][0] == indent)):
            path.pop()
        if key:
            path.append((indent, ".".join([*(name.rpartition(".")[2] for _, name in path), key[2]])))
            found[path[-1][1]] = (number, number + 1)
        for _, name in path:
            found[name] = (found[name][0], number + 1)
    return found


def insert_block(lines: list[str], name: str, block: Sequence[str], order: Sequence[str]) -> None:
    """Insert the lines of a new entry behind the one that goes before it in `order`, or first in its section.

    A section on the top level is set apart by an empty line.
    """
    there, parent = spans(lines), name.rpartition(".")[0]
    siblings = [one for one in order[: order.index(name)] if one.rpartition(".")[0] == parent and one in there]
    first = there[parent][0] + 1 if parent else len(lines)
    place = there[siblings[-1]][1] if siblings else first
    lines[place:place] = block if parent else ["", *block]


def remove_entry(lines: list[str], name: str) -> None:
    """Remove the lines of an entry and of all below it, but none that is a comment alone."""
    first, last = spans(lines).get(name, (0, 0))
    lines[first:last] = [line for line in lines[first:last] if line.lstrip().startswith("#")]


def with_value(line: str, value: str) -> str:
    """A line `key: value  # comment` with another value; the comment stays in its column where there is room."""
    parts = _ENTRY.match(line)
    assert parts is not None
    width = len(parts["value"]) + len(parts["comment"] or "") - len((parts["comment"] or "").lstrip())
    comment = (parts["comment"] or "").lstrip()
    return (parts["key"] + (value.ljust(max(width, len(value) + 2)) + comment if comment else value)).rstrip()


def append_items(lines: list[str], name: str, new: Sequence[str]) -> None:
    """Append lines to the list of this dotted name, as far from the left as its first item; without it, nothing."""
    if name in (there := spans(lines)):
        first, end = there[name]
        items = [line for line in lines[first + 1 : end] if line.lstrip().startswith("- ")]
        indent = indent_of(items[0]) if items else f"{indent_of(lines[first])}  "
        lines[end:end] = [indent + line for line in new]


def indent_of(line: str) -> str:
    """The spaces before a line's text."""
    return line[: len(line) - len(line.lstrip())]
