"""`deepmark label`: labels out to people, and back as corrections that `ingest` applies."""

from pathlib import Path
from typing import Annotated

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, open_workspace, print_facts
from deepmark.cli.outputs import check_folder
from deepmark.schema import AskedFrom, LabelTool

label = typer.Typer(
    help="Labels out to people, and their corrections back.", no_args_is_help=True, rich_markup_mode="markdown"
)


@label.callback()
def _label() -> None:
    pass


@label.command()
def export(
    images: Annotated[
        list[str] | None, typer.Argument(metavar="[IMAGE]...", help="With --from new: files, folders, 'patterns'.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="New folder for the tasks.")],
    source: Annotated[
        AskedFrom,
        typer.Option(
            "--from",
            help="audit: suspected labels; uncertain: the model expects most mistakes; new: images without labels.",
        ),
    ] = AskedFrom.AUDIT,
    tool: Annotated[LabelTool, typer.Option("--to", help="Where people label; cvat and coco are COCO keypoints.")] = (
        LabelTool.LABEL_STUDIO
    ),
    limit: Annotated[int, typer.Option(min=1, help="Images at most.")] = 100,
    url: Annotated[
        str, typer.Option(help="What Label Studio puts before data such as train/image/000001.jpg.")
    ] = "/data/local-files/?d=",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Also the folders in folders.")] = False,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write tasks for a labelling tool: today's labels, what the model detects, and why each image is asked about.

    Label Studio: make a project with `config.xml` as its labelling interface, add a local files storage of the raw
    data, import `tasks.json`. CVAT: make a task of the images, upload `annotations.json` as COCO Keypoints 1.0.

    --from new chooses among the images that you name those whose labels the model needs most; those that are in the
    data already are left out. `deepmark import --add` takes their labels into the data.
    """
    from deepmark.labels.exchange import export_tasks

    check_folder(out, "--out")
    opened = open_workspace(workspace)
    facts = export_tasks(
        opened, source, tool, out, limit=limit, url=url, images=images or (), recursive=recursive, note=_tell
    )
    print_facts(facts, as_json)


def _tell(text: str) -> None:
    typer.echo(f"deepmark label export: {text}", err=True)


@label.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What the tool exported, or the audit's page made.")],
    tool: Annotated[LabelTool | None, typer.Option("--from", help="The tool, where the file does not say it.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Take what people decided into data/corrections.parquet, which `deepmark ingest` applies.

    The raw files are never touched. Label Studio: its JSON export. CVAT: COCO Keypoints 1.0. The audit's page: the file
    that it downloads.
    """
    from deepmark.labels.exchange import import_answers

    facts = import_answers(open_workspace(workspace), file, tool)
    print_facts(facts, as_json)
    if not as_json:
        typer.echo("`dvc repro` makes everything of the corrected labels.")


@label.command()
def drop(
    image: Annotated[int, typer.Argument(help="Number of the image.")],
    item: Annotated[str | None, typer.Option(help="Only of this item, such as item2.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Take decisions out of the corrections again."""
    from deepmark.labels.exchange import drop_corrections

    print_facts({"taken_out": drop_corrections(open_workspace(workspace), image, item)}, as_json)
