"""Where an asset's code is: its stage in dvc.yaml, and the function that does the work."""

import inspect
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg

from deepmark import stages


def code_links(workspace: Path, stage: str) -> dict[str, Any]:
    """Dagster's metadata for the links behind "Open in editor"; a stage of your own has only its place in dvc.yaml."""
    function = getattr(stages, stage, None)
    links = [_in_file(workspace / "dvc.yaml", rf"  {re.escape(stage)}:", f"{stage} in dvc.yaml")]
    return _metadata(*links, *([_function(function)] if inspect.isfunction(function) else []))


def function_link(function: Any) -> dict[str, Any]:
    """The same for an asset that is no stage: the line on which a function of ours begins."""
    return _metadata(_function(function))


class _Link(NamedTuple):
    file: str
    line: int
    label: str


def _metadata(*links: _Link) -> dict[str, Any]:
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):  # the release is pinned
        found: list[dg.LocalFileCodeReference | dg.UrlCodeReference] = [
            dg.LocalFileCodeReference(file_path=link.file, line_number=link.line, label=link.label) for link in links
        ]
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=found)}


def _function(function: Any) -> _Link:
    code = inspect.unwrap(function).__code__
    return _Link(code.co_filename, code.co_firstlineno, f"{code.co_name} in {Path(code.co_filename).name}")


def _in_file(file: Path, pattern: str, label: str) -> _Link:
    lines = file.read_text("utf-8").splitlines()
    line = next((number for number, text in enumerate(lines, 1) if re.match(pattern, text)), 1)
    return _Link(str(file), line, label)
