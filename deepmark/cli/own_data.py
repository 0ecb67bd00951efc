"""`deepmark import`: a team's own labelled images into a workspace."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, open_workspace, print_facts
from deepmark.errors import DeepmarkError

if TYPE_CHECKING:
    from deepmark.importing.labelled import LabelledImage, UnplacedLabel
    from deepmark.vocabulary import Vocabulary


class Format(StrEnum):
    coco = "coco"
    yolo = "yolo"
    label_studio = "label-studio"
    cvat = "cvat"


def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="JSON of COCO or Label Studio, YOLO's data.yaml, CVAT's annotations.xml."),
    ],
    origin: Annotated[Format, typer.Option("--from", help="What the file is; cvat: CVAT for images 1.1.")],
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of the images; YOLO's data.yaml names its own.")
    ] = None,
    validation: Annotated[
        float | None, typer.Option(help="Share of the images to measure on: 0.15; 0 with --add.", show_default=False)
    ] = None,
    test: Annotated[float, typer.Option(help="Share to keep aside in data/raw/test, which no stage reads.")] = 0.0,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX", help="What its ( ) matches in a name stays in one split: '^([A-Z]+[0-9]+)_' for a product."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put these in the place of an earlier import; images keep their numbers.")
    ] = False,
    add: Annotated[
        bool,
        typer.Option("--add", help="Put these beside the data that is there; images that are in it are set aside."),
    ] = False,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Your own labelled images as the workspace's raw data, of its vocabulary.

    Every image of the source is written, or set aside with a reason: data/set_aside.csv. Which split an image is in
    depends on its name alone (or on its group), so that it stays there when others come; YOLO's own splits are kept.
    """
    from deepmark.compute.choose import engine_of
    from deepmark.importing.importer import SplitShares, import_images
    from deepmark.progress import progress

    if add and replace:
        raise DeepmarkError("--add keeps the data that is there, and --replace puts others in its place: give one.")
    share = (0.0 if add else 0.15) if validation is None else validation
    opened, shares = open_workspace(workspace), SplitShares(validation=share, test=test, group_by=group_by)
    found = _labelled(file, origin, images, opened.vocabulary)
    with progress("write images", 0) as advance:
        engine = engine_of(opened.params.compute)
        facts = import_images(
            found,
            opened.raw,
            opened.vocabulary,
            set_aside=opened.set_aside_file,
            shares=shares,
            engine=engine,
            replace=replace,
            add=add,
            progress=advance,
        )
    splits = " + ".join(f"{facts[split]:,} {split}" for split in ("train", "validation", "test") if split in facts)
    balance = f"{facts['in_source']:,} images in {file} = {splits} + {facts['set_aside']:,} set aside"
    reasons = f" ({opened.set_aside_file} says why)" if facts["set_aside"] else ""
    typer.echo(balance + reasons, err=True)
    print_facts(facts, as_json)


def _labelled(
    file: Path, origin: Format, images: Path | None, vocabulary: "Vocabulary"
) -> "Iterator[LabelledImage | UnplacedLabel]":
    from deepmark.importing.coco import read_own_coco
    from deepmark.importing.cvat import read_cvat
    from deepmark.importing.studio import read_studio
    from deepmark.importing.yolo import read_yolo

    if not file.is_file():
        raise DeepmarkError(f"{file}: no such file.")
    if (images is None) != (origin is Format.yolo):
        fault = "takes no --images: data.yaml names their folders" if images else "needs --images, their folder"
        raise DeepmarkError(f"--from {origin} {fault}.")
    if images is None:
        return read_yolo(file, vocabulary)
    if not images.is_dir():
        raise DeepmarkError(f"--images {images}: no such folder.")
    readers = {Format.coco: read_own_coco, Format.label_studio: read_studio, Format.cvat: read_cvat}
    return iter(readers[origin](file, images, vocabulary))
