"""`deepmark adapt`: a model whose batch normalisation fits images without labels."""

from pathlib import Path
from typing import Annotated, Any

import typer

from deepmark.cli.options import JsonOption, print_json
from deepmark.cli.outputs import check_absent
from deepmark.errors import DeepmarkError


def adapt(
    model: Annotated[
        str,
        typer.Option(metavar="FILE", help="The model.safetensors of a training; or open, the model of DeepMark."),
    ],
    images: Annotated[
        list[str],
        typer.Option(metavar="DIR", help="Images without labels: a folder, a file or a 'pattern'; repeatable."),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.safetensors", help="The model to write; replaces nothing.")],
    share: Annotated[
        float,
        typer.Option(help="Weight of the new statistics, 0 to 1; 0.5 is half way, safer for few images."),
    ] = 1.0,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Also the folders in folders.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:1; the first GPU if there is one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a model to images that nobody has labelled: a new model with other statistics of its batch normalisation.

    No weight is learnt; it takes a minute. It may help where images look otherwise than those that were learnt, such as
    photographs after drawings, or another camera; it may harm where they show other things, such as no garments.
    Measure where there are labels. Adapt before `deepmark export`.
    """
    from deepmark.infer.adapt import adapt_file
    from deepmark.infer.find_images import find_images
    from deepmark.models.packaged import OPEN, packaged_weights
    from deepmark.progress import progress
    from deepmark.report.tables.table import print_table
    from deepmark.workspace.layout import workspace_of_model

    if not 0 < share <= 1:
        raise DeepmarkError(f"--share {share:g}: give a number above 0, up to 1, which takes the new statistics alone.")
    check_absent(out, "--out", ".safetensors")
    sources = find_images(images, recursive=recursive, note=_tell)
    file = packaged_weights() if model == OPEN else Path(model)
    workspace = workspace_of_model(file)
    with progress("adapt", len(sources)) as advance:
        facts = adapt_file(
            file,
            sources,
            out,
            share=share,
            predict=workspace.params.predict if workspace else None,
            device=device,
            unreadable=lambda reason: _tell(reason.rstrip(".")),
            progress=advance,
        )
    if as_json:
        print_json(facts)
        return
    typer.echo(f"{out}: adapted to {facts['images']:,} images; {len(facts['unreadable']):,} could not be read.")
    print_table(_table(facts["stages"]))


def _table(stages: list[dict[str, Any]]) -> Any:
    from deepmark.report.tables.table import Row, Table, number

    return Table(
        title="How far the statistics moved",
        columns=("stage", "layers", "mean, old standard deviations", "standard deviation, of the old"),
        rows=tuple(
            Row(cells=(one["stage"], str(one["layers"]), number(one["mean"], 3), number(one["spread"], 3)))
            for one in stages
        ),
    )


def _tell(text: str) -> None:
    typer.echo(f"deepmark adapt: {text}.", err=True)
