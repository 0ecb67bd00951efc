"""Changes values of a params.yaml; comments and order stay, and values that it may not have are refused."""

import io
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter

from deepmark.params import Params, Section, check_params, load_params


class _Representer(RoundTripRepresenter):
    """Writes null where ruamel writes nothing."""


_Representer.add_representer(type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null"))


def override(file: Path, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The text of a params.yaml with some values changed, and these values by the names that DVC gives them.

    `given` has values by name, such as {"train.epochs": 2}, or by section: {"train": {"epochs": 2}}. Only their lines
    differ from the file's.

    Raises DeepmarkError for a name or a value that params.yaml may not have.
    """
    load_params(file)
    yaml = YAML()
    yaml.Representer, yaml.width = _Representer, 4096
    values = yaml.load(file.read_text("utf-8"))
    names = dict(_by_name(given))
    for name, value in names.items():
        _put(values, name, value)
    checked = check_params(values, "params").model_dump()
    changed = {name: _get(checked, name) for name in names}  # "1e-3" is text for ruamel, a number after the check
    for name, value in changed.items():
        _put(values, name, _to_yaml(value))
    text = io.StringIO()
    yaml.dump(values, text)
    return text.getvalue(), changed


def _by_name(given: Mapping[str, Any], parents: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        path = (*parents, *str(key).split("."))
        if isinstance(value, Mapping) and _is_section(path):
            yield from _by_name(value, path)
        else:
            yield ".".join(path), value


def _is_section(path: tuple[str, ...]) -> bool:
    section: Any = Params
    for part in path:
        field = section.model_fields.get(part)
        section = field.annotation if field else None
        if not (isinstance(section, type) and issubclass(section, Section)):
            return False
    return True


def _keys(name: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in name.split(".")]  # train.milestones.50


def _put(tree: Any, name: str, value: Any) -> None:
    *parents, last = _keys(name)
    for key in parents:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    tree[last] = value


def _get(tree: Any, name: str) -> Any:
    for key in _keys(name):
        tree = tree[key]
    return tree


def _to_yaml(value: Any) -> Any:
    """The value as ruamel writes it, with lists and mappings in one line: [64, 128]."""
    if isinstance(value, Enum):
        return value.value
    if not isinstance(value, dict | list | tuple):
        return value
    collection = CommentedMap(value) if isinstance(value, dict) else CommentedSeq(value)
    collection.fa.set_flow_style()
    return collection
