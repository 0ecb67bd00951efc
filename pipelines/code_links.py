"""Where an asset's code is: its stage in dvc.yaml, and the function that does the work."""

import inspect
import re
from pathlib import Path
from typing import Any

import dagster as dg

from deepmark import stages


def code_links(workspace: Path, stage: str) -> dict[str, Any]:
    """Dagster's metadata for the links behind "Open in editor"; a stage of your own has only its place in dvc.yaml."""
    links: list[dg.LocalFileCodeReference | dg.UrlCodeReference] = [
        _in_file(workspace / "dvc.yaml", rf"  {re.escape(stage)}:", f"{stage} in dvc.yaml")
    ]
    function = getattr(stages, stage, None)
    if inspect.isfunction(function):
        links.append(function_link(function))
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=links)}


def function_link(function: Any) -> dg.LocalFileCodeReference:
    """The line on which a function of ours begins."""
    code = inspect.unwrap(function).__code__
    return dg.LocalFileCodeReference(
        file_path=code.co_filename,
        line_number=code.co_firstlineno,
        label=f"{code.co_name} in {Path(code.co_filename).name}",
    )


def _in_file(file: Path, pattern: str, label: str) -> dg.LocalFileCodeReference:
    lines = file.read_text("utf-8").splitlines()
    line = next((number for number, text in enumerate(lines, 1) if re.match(pattern, text)), 1)
    return dg.LocalFileCodeReference(file_path=str(file), line_number=line, label=label)
