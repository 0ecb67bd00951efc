"""What the commands share: their options, and how they print facts."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from deepmark.schema import Split, Strategy
from deepmark.tracking.flatten import flatten

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="Folder with params.yaml and data/.")]
SplitOption = Annotated[Split, typer.Option(help="Which part of the data set.")]
StrategyOption = Annotated[
    Strategy,
    typer.Option(help="none; nms; flip = NMS + mirror image; multiscale = NMS + mirror image + scales."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the facts as JSON on standard output.")]
HERE = Path()


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print facts as JSON, or as lines for people."""
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name, value in flatten(facts, " "):
        typer.echo(f"{name.replace('_', ' '):28} {_readable(value)}")


def _readable(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
