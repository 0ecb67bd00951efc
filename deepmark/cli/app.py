"""The `deepmark` command: one subcommand per stage, each on a workspace. Heavy modules are imported only where used."""

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from deepmark.cli import adapt as adapt_command
from deepmark.cli import cluster as cluster_commands
from deepmark.cli import coco as coco_commands
from deepmark.cli import datasheet as datasheet_command
from deepmark.cli import detect as detect_command
from deepmark.cli import export as export_command
from deepmark.cli import label as label_commands
from deepmark.cli import measure as measure_command
from deepmark.cli import own_data as own_data_command
from deepmark.cli import registry as registry_commands
from deepmark.cli import serve as serve_command
from deepmark.cli import synth as synth_command
from deepmark.cli import upgrade as upgrade_command
from deepmark.cli import vocabulary as vocabulary_commands
from deepmark.cli.errors import DEBUG, Commands
from deepmark.cli.options import (
    HERE,
    PROFILE_WORDS,
    JsonOption,
    Profile,
    SplitOption,
    StrategyOption,
    WorkspaceOption,
    open_workspace,
    print_facts,
    print_json,
)
from deepmark.cli.outputs import CSV, IMPORTED, check_new_file
from deepmark.schema import Backbone
from deepmark.version import __version__

app = typer.Typer(
    name="deepmark",
    cls=Commands,
    help="DeepFashion2 in; a trained, evaluated and logged detector of clothes and their landmarks out.\n\n"
    "`deepmark demo runs/demo` shows everything in minutes. The stages work on a workspace, a folder with params.yaml, "
    "dvc.yaml and data/; `deepmark init DIR` makes one, and `dvc repro` in it runs all stages that are out of date.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=True,
)


class PublishedBackbone(StrEnum):
    """The backbones whose weights CenterNet's authors published."""

    DLA34 = Backbone.DLA34.value
    HOURGLASS104 = Backbone.HOURGLASS104.value


def _print_version(wanted: bool | None) -> None:
    if wanted:
        typer.echo(f"deepmark {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help=f"Print the traceback of an error, too, as {DEBUG}=1 does.")
    ] = False,
) -> None:
    pass


def _run_stage(name: str, workspace: Path, as_json: bool, **choices: str) -> None:
    from deepmark import stages

    stage: Callable[..., dict[str, Any]] = getattr(stages, name)
    print_facts(stage(open_workspace(workspace), **choices), as_json)


@app.command(
    help="Make a workspace: params.yaml, dvc.yaml, data/, with git and DVC.\n\nProfiles:\n\n"
    + "\n".join(f"- **{name}**: {words}" for name, words in PROFILE_WORDS.items())
)
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    profile: Annotated[
        Profile | None,
        typer.Option(show_default=False, help="The recipe; paper where none is given."),
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A vocabulary.yaml: categories and landmarks of your own labels."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    from deepmark.vocabulary import DEEPFASHION2
    from deepmark.workspace.init import init_workspace

    workspace = init_workspace(folder.resolve(), profile, vocabulary)
    if as_json:
        print_json({"workspace": str(workspace.root), "raw": str(workspace.raw)})
        return
    raw, words = folder / "data/raw", workspace.vocabulary
    data = f"`deepmark import` puts images and labels of {words.name}" if words != DEEPFASHION2 else "Put DeepFashion2"
    typer.echo(f"{folder}: a workspace. {data} into {raw}; then `dvc repro` in {folder}.")


app.command()(synth_command.synth)


@app.command()
def ingest(split: SplitOption, workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Turn raw files into validated records; unusable files are rejected with a reason."""
    _run_stage("ingest", workspace, as_json, split=split)


@app.command()
def shard(split: SplitOption, workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Records to WebDataset tars with an index of checksums."""
    _run_stage("shard", workspace, as_json, split=split)


@app.command()
def train(
    workspace: WorkspaceOption = HERE,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew, without the checkpoints of the same inputs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Shards to a checkpoint, one process per GPU, on one machine or several; an interrupted run continues."""
    from deepmark import stages

    facts = stages.train(open_workspace(workspace), fresh=fresh)
    if facts is not None:
        print_facts(facts, as_json)


@app.command()
def crossvalidate(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Predictions of the training images by networks that have not learnt them, for the audit; as params.yaml says."""
    _run_stage("crossvalidate", workspace, as_json)


@app.command()
def predict(strategy: StrategyOption, workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Checkpoint and validation shards to predictions, by one of the paper's strategies."""
    _run_stage("predict", workspace, as_json, strategy=strategy)


@app.command()
def evaluate(strategy: StrategyOption, workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Predictions to the official metric, overall, by category and by subset."""
    _run_stage("evaluate", workspace, as_json, strategy=strategy)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A strategy, predictions, a model.onnx or a version.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same; B is compared with A.")],
    workspace: WorkspaceOption = HERE,
    every: Annotated[bool, typer.Option("--all", help="Every category and subset, not only real differences.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="File of all figures, unrounded.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Which of two is better, by how much, and whether the difference is real.

    `deepmark compare nms flip` compares two strategies; `deepmark compare flip ../other/data/predictions/flip.parquet`
    two models on the same images; `deepmark compare nms export/model_int8.onnx` the checkpoint and an exported file;
    `deepmark compare models:/deepmark@champion models:/deepmark@challenger` two registered versions.
    """
    from dataclasses import asdict

    from deepmark import stages
    from deepmark.report.tables.comparison_tables import comparison_table
    from deepmark.report.tables.table import print_table

    target = open_workspace(workspace)
    if out is not None:
        check_new_file(out, "--out", CSV, inputs=[Path(a), Path(b)])
    differences = stages.compare(target, a, b, out=out)
    if as_json:
        print_json([{**asdict(one), "difference": one.difference, "real": one.is_real} for one in differences])
    else:
        print_table(comparison_table(differences, every=every))


@app.command()
def audit(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Labels that may be wrong: ranked, with reasons, as a table and as a page with images."""
    _run_stage("audit", workspace, as_json)


@app.command()
def report(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """All results to one page: tables, plots and images."""
    _run_stage("report", workspace, as_json)


app.command()(datasheet_command.datasheet)
app.command()(coco_commands.score)
app.command()(coco_commands.convert)
app.command("import")(own_data_command.import_)
app.command()(registry_commands.register)
app.command()(registry_commands.promote)
app.command()(registry_commands.rollback)
app.command()(registry_commands.models)
app.command()(upgrade_command.upgrade)
app.add_typer(cluster_commands.cluster, name="cluster")
app.add_typer(label_commands.label, name="label")
app.add_typer(vocabulary_commands.vocabulary, name="vocabulary")


app.command()(detect_command.detect)
app.command()(adapt_command.adapt)
app.command()(measure_command.measure)
app.command()(serve_command.serve)
app.command()(export_command.export)


@app.command("import-checkpoint")
def import_checkpoint(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Such as ctdet_coco_dla_2x.pth.")],
    backbone: Annotated[PublishedBackbone, typer.Option(help="Whose weights they are.")],
    out: Annotated[Path, typer.Option(metavar="FILE.safetensors", help="The model to write.")],
    input_size: Annotated[
        tuple[int, int], typer.Option(metavar="HEIGHT WIDTH", help="Size of the network's input, pixels.")
    ] = (512, 512),
    as_json: JsonOption = False,
) -> None:
    """Published weights of CenterNet to a model file, such as a training can start from (train.init)."""
    from deepmark.model import centernet_import as centernet
    from deepmark.params import model_params

    check_new_file(out, "--out", IMPORTED, inputs=[file])
    params = model_params(backbone=backbone.value, input_size=input_size)
    print_facts(centernet.import_checkpoint(file, out, params), as_json)


@app.command()
def model(
    workspace: WorkspaceOption = HERE,
    backbone: Annotated[Backbone | None, typer.Option(help="Instead of the one in params.yaml.")] = None,
    time: Annotated[bool, typer.Option("--time/--no-time", help="Measure the time per image here.")] = True,
    as_json: JsonOption = False,
) -> None:
    """What the network of params.yaml costs: parameters, GFLOP, megabytes, milliseconds per image."""
    from deepmark.infer.predict import best_device
    from deepmark.model.cost import cost, measured_time
    from deepmark.params import model_params

    opened = open_workspace(workspace)
    params, vocabulary = opened.params, opened.vocabulary
    chosen = model_params(**params.model.model_dump() | ({"backbone": backbone.value} if backbone else {}))
    facts = cost(chosen, vocabulary)
    if time:
        facts |= measured_time(chosen, vocabulary, precision=params.predict.precision, device=best_device())
    print_facts(facts, as_json)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The workspace to make.")] = Path("runs/demo"),
    train: Annotated[int, typer.Option(min=1, help="Images to draw for training.")] = 4500,
    validation: Annotated[int, typer.Option(min=1, help="Images to draw for validation.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawings.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Draw data, run the whole graph on it, register and promote the model, and print the results and what is next."""
    from deepmark.cli.demo import run_demo

    run_demo(folder.resolve(), train=train, validation=validation, seed=seed, as_json=as_json)


def main() -> None:
    """Run the command line. An error becomes one message and exit code 1; `--debug` may stand anywhere."""
    words = sys.argv[1:]
    if "--debug" in words:
        os.environ[DEBUG] = "1"
    app(args=[word for word in words if word != "--debug"])
