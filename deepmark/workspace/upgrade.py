"""A workspace of an earlier release, made one of this release: what is new in params.yaml and dvc.yaml is added.

New parameters get values that change no result, the section `train.launch` becomes part of `compute`, and dvc.lock
learns of both, so that DVC trains and predicts nothing again; the audit looks at the labels once more, with what is new
in it. Where a vocabulary.yaml was put in, dvc.yaml names it, and DVC runs ingest again. Nothing else that is there is
changed.
"""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError, check_merged
from deepmark.files import write_text
from deepmark.params import check_params
from deepmark.params.added import ADDED, GONE, values_of_launch
from deepmark.workspace.ingest_inputs import with_dependencies, with_dependency
from deepmark.workspace.init import dvc_yaml, profile_file
from deepmark.workspace.upgrade_timing import missing_timings, with_locked_timings, with_timing_files
from deepmark.workspace.yaml_lines import edited_yaml, insert_block, load_yaml, remove_entry, spans, with_value

_FILES = ("dvc.lock", "dvc.yaml", "params.yaml")
"""In the order in which they are written: after a kill in between, the next upgrade completes what is missing."""


_HELD_OUT = "data/predictions/held_out.parquet"
"""What the audit has looked at since there is a stage that makes it."""


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """What an upgrade adds and removes."""

    parameters: dict[str, Any]
    """That are added, by dotted name."""

    removed: list[str]
    """Dotted names of parameters and sections."""

    stages: list[str]
    texts: dict[Path, tuple[str, str]]
    """The files that change -> their text before and after."""

    def difference(self) -> str:
        """The changes as a unified diff; empty where there are none."""
        parts: list[str] = []
        for file, (before, after) in self.texts.items():
            old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
            parts += difflib.unified_diff(old, new, f"a/{file.name}", f"b/{file.name}")
        return "".join(parts)

    def write(self) -> None:
        """Write the files, each whole or not at all."""
        for file, (_, after) in self.texts.items():
            write_text(file, after)


def plan_upgrade(root: Path) -> Upgrade:
    """What is new in this release and missing in a workspace.

    Raises DeepmarkError where there is no workspace, and where more is wrong with its params.yaml than what is missing.
    """
    before = {name: _read(root / name) for name in _FILES if name != "dvc.lock" or (root / name).is_file()}
    values = load_yaml(before["params.yaml"])
    removed = [GONE] if _has(values, GONE) else []
    moved = values_of_launch(_get(values, GONE)) if removed else {}
    missing = {name: moved.get(name, value) for name, value in ADDED.items() if not _has(values, name)}
    known = load_yaml(before["dvc.yaml"]).get("stages") or {}
    stages = [name for name in load_yaml(_read(dvc_yaml()))["stages"] if name not in known]
    after = {
        "dvc.yaml": _with_stages(before["dvc.yaml"], stages),
        "params.yaml": _with_parameters(root / "params.yaml", before["params.yaml"], missing, removed),
    }
    after["dvc.yaml"] = with_timing_files(after["dvc.yaml"], root / "dvc.yaml")
    after["dvc.yaml"] = with_dependencies(after["dvc.yaml"], root)
    if "audit" in known:
        after["dvc.yaml"] = with_dependency(after["dvc.yaml"], _HELD_OUT, root / "dvc.yaml", stage="audit")
    timings = missing_timings(root)
    if "dvc.lock" in before:
        locked = _with_locked_parameters(before["dvc.lock"], missing, removed)
        after["dvc.lock"] = with_locked_timings(locked, {file.stem: text.encode() for file, text in timings.items()})
    texts = {file: ("", text) for file, text in timings.items()}
    texts |= {root / name: (text, after[name]) for name, text in before.items() if after[name] != text}
    return Upgrade(parameters=missing, removed=removed, stages=stages, texts=texts)


def _read(file: Path) -> str:
    if not file.is_file():
        raise DeepmarkError(f"{file}: no such file. `deepmark init DIR` makes a workspace, `--workspace DIR` names it.")
    text = file.read_text("utf-8")
    check_merged(file, text)
    if not isinstance(load_yaml(text), dict):
        raise DeepmarkError(f"{file}: not YAML with sections. Correct it first; nothing was changed.")
    return text


def _has(values: Any, name: str) -> bool:
    for key in name.split("."):
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def _get(tree: Any, name: str) -> Any:
    for key in name.split("."):
        tree = tree[key]
    return tree


def _drop(tree: Any, name: str) -> None:
    if _has(tree, name):
        parents, _, last = name.rpartition(".")
        del (_get(tree, parents) if parents else tree)[last]


def _put(tree: Any, name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for key in parents:
        tree = tree.setdefault(key, {})
    tree.setdefault(last, value)


def _with_parameters(file: Path, text: str, missing: dict[str, Any], removed: list[str]) -> str:
    """The text of a params.yaml with more parameters, at the places and with the comments of a new one."""
    expected, lines = load_yaml(text), text.splitlines()
    model = _read(profile_file("paper")).splitlines()
    order = spans(model)
    for name, value in missing.items():
        _put(expected, name, value)
        keys = name.split(".")
        for section in (".".join(keys[:count]) for count in range(1, len(keys))):
            if section not in spans(lines):
                insert_block(lines, section, [model[order[section][0]]], list(order))
        insert_block(lines, name, [with_value(model[order[name][0]], _as_yaml(value))], list(order))
    for name in removed:
        _drop(expected, name)
        remove_entry(lines, name)
    added = "\n".join(lines) + "\n" if missing or removed else text
    if load_yaml(added) != expected:
        wanted = ", ".join(f"{name}: {_as_yaml(value)}" for name, value in missing.items())
        without = f" Remove {', '.join(removed)}." if removed else ""
        raise DeepmarkError(
            f"{file}: new lines have no clear place in it. Write these parameters into it: {wanted}.{without}"
        )
    check_params(expected, str(file))
    return added


def _as_yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _with_stages(text: str, stages: list[str]) -> str:
    """The text of a dvc.yaml with more stages, as a new one has them."""
    lines, model = text.splitlines(), _read(dvc_yaml()).splitlines()
    places = spans(model)
    order = [name for name in places if name.count(".") <= 1]
    for name in stages:
        first, last = places[f"stages.{name}"]
        insert_block(lines, f"stages.{name}", ["", *model[first:last]], order)
    return "\n".join(lines) + "\n" if stages else text


def _with_locked_parameters(text: str, missing: dict[str, Any], removed: list[str]) -> str:
    """The text of a dvc.lock whose stages have been run with these values, as in truth they were."""

    def edit(lock: Any) -> bool:
        for stage in (lock or {}).get("stages", {}).values():
            for tracked in (stage.get("params") or {}).values():
                for name, value in missing.items():
                    if name.partition(".")[0] in tracked:
                        _put(tracked, name, value)
                for name in removed:
                    _drop(tracked, name)
        return bool(missing or removed)

    return edited_yaml(text, edit)
