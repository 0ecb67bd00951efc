"""What the commands share: their options, the workspace they work on, and how they print facts."""

import json
import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepmark.errors import DeepmarkError, missing_model
from deepmark.schema import Split, Strategy
from deepmark.tracking.flatten import flatten

if TYPE_CHECKING:
    from deepmark.workspace.layout import Workspace


class Profile(StrEnum):
    """The params.yaml that a new workspace starts with."""

    PAPER = "paper"
    PAPER_HOURGLASS = "paper-hourglass"
    MODERN = "modern"
    EDGE = "edge"
    OPEN = "open"
    OPEN_LARGE = "open-large"
    DEMO = "demo"


PROFILE_WORDS = {
    Profile.PAPER: "DeepMark as published in 2019, with DLA-34, on the released DeepFashion2 set",
    Profile.PAPER_HOURGLASS: "DeepMark as published, with Hourglass-104: its best figures, for eight times the work",
    Profile.MODERN: "DLA-34 with habits later than the paper, each a switch of its own",
    Profile.EDGE: "the light network for browsers, phones and processors, by the recipe of modern",
    Profile.OPEN: "the light network taught by drawn and rendered images alone, on two processor cores in two hours",
    Profile.OPEN_LARGE: "DLA-34 taught by drawn and rendered images alone, for a GPU, and to teach the light network",
    Profile.DEMO: "drawn garments, learnt on two CPU cores in minutes, as `deepmark demo` does",
}
"""What each is, as the first line of its file says it."""


WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="Folder with params.yaml and data/.")]
SplitOption = Annotated[Split, typer.Option(help="Which part of the data set.")]
StrategyOption = Annotated[
    Strategy,
    typer.Option(help="none; nms; flip = NMS + mirror image; multiscale = NMS + mirror image + scales."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the facts as JSON on standard output.")]
HERE = Path()


def check_spelling(words: Sequence[str]) -> None:
    """Raise DeepmarkError for `--json=FILE`: what is printed is the same for every command, and has no file."""
    if any(word.startswith("--json=") for word in words):
        raise DeepmarkError("--json takes no value: it prints JSON on standard output. Files are written with --out.")


def open_workspace(folder: Path) -> "Workspace":
    """The workspace in a folder; raises DeepmarkError where there is none."""
    from deepmark.workspace.layout import Workspace

    workspace = Workspace(folder.resolve())
    if not (workspace.root / "params.yaml").exists():
        what = "a file, not a workspace" if workspace.root.is_file() else "no workspace here (it has no params.yaml)"
        raise DeepmarkError(f"{workspace.root}: {what}. `deepmark init DIR` makes one, `--workspace DIR` names one.")
    return workspace


def is_meant(workspace: Path) -> bool:
    """Whether a command works on this workspace: somebody named it, or stands in it."""
    return workspace != HERE or (workspace / "params.yaml").is_file()


OWN_MODEL = "data/checkpoint/model.safetensors"
"""The model of the workspace that a command runs in."""


def chosen_model(
    model: str | None, command: str, *, strategy: str, quiet: bool, workspace: Path = HERE, own: str | None = None
) -> str:
    """The model that a command uses: the named one; else that of the workspace, if there is one or somebody named it;
    else the model that comes with DeepMark, also known as "open", which is told on standard error unless `quiet`.

    Of a workspace it is `own`; without that its checkpoint, or what was exported where only that is there.

    Raises DeepmarkError where the workspace has no model, or none comes with this installation.
    """
    from deepmark.detectors import EXPORTED
    from deepmark.models.packaged import OPEN, packaged_model, read_card

    if model not in (None, OPEN):
        return model
    if model is None:
        there = [name for name in (OWN_MODEL, str(EXPORTED)) if (workspace / name).is_file()]
        if there or is_meant(workspace):
            if not there:
                open_workspace(workspace)
                if own is None:
                    raise missing_model(workspace / OWN_MODEL, "train")
            return str(workspace / (own or there[0]))
    packaged = packaged_model(strategy)
    if not quiet:
        typer.echo(f"deepmark {command}: with the model that comes with DeepMark: {read_card()['in_short']}.", err=True)
    return str(packaged)


def print_json(value: Any) -> None:
    """Print a value as JSON; a number that is not finite becomes null, for JSON has none."""
    typer.echo(json.dumps(_finite(value)))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print facts as JSON, or as lines for people."""
    if as_json:
        print_json(facts)
        return
    for name, value in flatten(facts, " "):
        typer.echo(f"{_words(name):28} {_readable(value)}")


def _words(name: str) -> str:
    """The name of a fact for people; scripts know images by the names of earlier releases."""
    return name.replace("_", " ").replace("a picture", "an image").replace("picture", "image")


def _readable(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
