"""`deepmark detect`: detections of images of any kind, printed, written and drawn."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from deepmark.cli.options import JsonOption, StrategyOption
from deepmark.cli.outputs import JSON, check_folder, check_new_file, identities, identity
from deepmark.errors import DeepmarkError
from deepmark.files import require_space
from deepmark.schema import SHOWN_SCORE, Strategy


def detect(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images, or folders of images.")],
    model: Annotated[
        str, typer.Option(help="A model.onnx or model.safetensors, a workspace, or models:/deepmark@champion.")
    ] = "data/checkpoint/model.safetensors",
    strategy: StrategyOption = Strategy.NMS,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            show_default=False,
            help=f"Detections with lower scores are left out: {SHOWN_SCORE:g}, or predict.min_score if that is higher.",
        ),
    ] = None,
    draw: Annotated[Path | None, typer.Option(help="Folder for the images with detections drawn.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="File for the detections, as JSON.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Find clothes and landmarks in images, by the section `predict` of the model's workspace.

    A model in its workspace is used as params.yaml says there, a copy of it elsewhere as params.yaml said when it was
    trained. An exported model.onnx needs neither PyTorch nor a workspace.
    """
    from deepmark.detectors import load_detector
    from deepmark.infer.detect_files import detect_files, drawings_of
    from deepmark.infer.find_images import find_images

    _check_no_result_file(images)
    files = find_images(images, note=lambda text: typer.echo(f"deepmark detect: {text}.", err=True))
    drawings = drawings_of(files, draw) if draw is not None else {}
    if draw is not None:
        _check_drawings(draw, drawings)
    if out is not None:
        check_new_file(out, "--out", JSON, inputs=[*files, *drawings.values(), Path(model)])
    detector = load_detector(model, strategy=strategy, min_score=min_score)
    failed = detect_files(files, detector, drawings=drawings, out=out, as_json=as_json)
    if failed:
        raise typer.Exit(1)


def _check_drawings(folder: Path, drawings: Mapping[Path, Path]) -> None:
    """Raise DeepmarkError where the folder cannot take the drawings of these images without harm to a person's file."""
    check_folder(folder, "--draw", check=lambda: _check_each(folder, drawings))
    jpegs = (image for image in drawings if image.suffix.lower() in (".jpg", ".jpeg"))
    require_space(folder, sum(image.stat().st_size for image in jpegs) / 4)


def _check_each(folder: Path, drawings: Mapping[Path, Path]) -> None:
    from deepmark.infer.detect_files import is_drawing

    if identity(folder) in identities({image.parent for image in drawings}):
        raise DeepmarkError(f"--draw {folder}: holds images to detect in. Name another folder for the drawings.")
    inputs = identities(drawings)
    for drawing in drawings.values():
        if identity(drawing) in inputs:
            raise DeepmarkError(f"--draw {folder}: {drawing} is also an input. Name another folder.")
        if os.path.lexists(drawing) and not is_drawing(drawing):
            raise DeepmarkError(
                f"--draw {folder}: {drawing} is there, and is no drawing of `deepmark detect`. Name another folder."
            )


def _check_no_result_file(images: Sequence[Path]) -> None:
    """Raise DeepmarkError for `--json FILE`, the spelling of earlier releases: FILE is now taken for an image."""
    for image in images:
        if str(image) == "-" or (image.suffix.lower() == ".json" and not image.is_dir()):
            raise DeepmarkError(
                f"{image}: not an image. --json prints the detections on standard output; "
                "`--out FILE.json` writes them to a file."
            )
