"""Links from an asset to its code: its stage in dvc.yaml, and the function that does the work."""

import re
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg


def stage_links(workspace: Path, stage: str) -> dict[str, Any]:
    """The metadata of Dagster's button "Open in editor".

    A stage that is not one of DeepMark's has a link to its place in dvc.yaml only.
    """
    graph = workspace / "dvc.yaml"
    in_graph = _line(graph, rf"  {re.escape(stage)}:") or 1  # a key in quotes, say
    return _metadata(_Link(graph, in_graph, f"{stage} in dvc.yaml"), *_function("deepmark.stages", stage))


def function_link(module: str, function: str) -> dict[str, Any]:
    """The same for an asset that is no stage: a link to a function. Its module is found, and not imported."""
    return _metadata(*_function(module, function))


class _Link(NamedTuple):
    file: Path
    line: int
    label: str


def _metadata(*links: _Link) -> dict[str, Any]:
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):  # the version of Dagster is pinned
        references: list[dg.LocalFileCodeReference | dg.UrlCodeReference] = [
            dg.LocalFileCodeReference(file_path=str(link.file), line_number=link.line, label=link.label)
            for link in links
        ]
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=references)}


def _function(module: str, function: str) -> Iterator[_Link]:
    spec = find_spec(module)
    if spec and spec.origin:
        file = Path(spec.origin)
        line = _line(file, rf"def {re.escape(function)}\(")
        if line:
            yield _Link(file, line, f"{function} in {file.name}")


def _line(file: Path, pattern: str) -> int | None:
    """The number of the first line that begins with `pattern`."""
    lines = file.read_text("utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if re.match(pattern, line)), None)
