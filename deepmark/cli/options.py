"""What several commands share: their options, and how they tell facts."""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Split(StrEnum):
    train = "train"
    validation = "validation"


class Strategy(StrEnum):
    none = "none"
    nms = "nms"
    flip = "flip"
    multiscale = "multiscale"


WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="Folder with params.yaml and data/.")]
SplitOption = Annotated[Split, typer.Option(help="Which part of the data set.")]
StrategyOption = Annotated[
    Strategy,
    typer.Option(help="none; nms; flip = NMS + mirror image; multiscale = NMS + mirror image + scales."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the facts as JSON on standard output.")]
HERE = Path()


def tell(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name, value in _lines(facts):
        typer.echo(f"{name:28} {value}")


def _lines(facts: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in facts.items():
        name = f"{above}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from _lines(value, f"{name} ")
        elif isinstance(value, float):
            yield name, f"{value:,.4g}"
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value)) or "none"
        else:
            yield name, f"{value:,}" if isinstance(value, int) else str(value)
