"""`deepmark detect`: detections of images of any kind, printed, written, drawn and cut out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepmark.cli.errors import INTERRUPTED
from deepmark.cli.options import HERE, JsonOption, StrategyOption, WorkspaceOption, chosen_model, print_facts
from deepmark.errors import DeepmarkError
from deepmark.schema import DRAWN_MARK, SHOWN_SCORE, Strategy

if TYPE_CHECKING:
    from deepmark.runtime.image_detector import ImageDetector
    from deepmark.types import Detections


def detect(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Files, folders, 'patterns', URLs, - for standard input; or a video, or a camera's number.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="A model file, a workspace, or models:/deepmark@champion of its registry; without it the checkpoint "
            "of the workspace, and outside of one `open`, the model that comes with DeepMark.",
        ),
    ] = None,
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
    category: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only garments of this category; may be repeated.")
    ] = None,
    agnostic_nms: Annotated[
        bool, typer.Option("--agnostic-nms", help="One garment at a place: a better one hides other categories, too.")
    ] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Also the folders in folders.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:1; the first GPU if there is one.")] = None,
    batch: Annotated[
        int, typer.Option(min=1, help="Images that the network sees at once: 8 or more are quicker on a GPU.")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File for the detections; its ending says how, see above."),
    ] = None,
    draw: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for the images with garments drawn.")] = None,
    crops: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for an image of each garment.")] = None,
    smooth: Annotated[
        bool, typer.Option("--smooth/--no-smooth", help="Landmarks of a video without their jitter.")
    ] = True,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Find clothes and their landmarks in images.

    \b
    ```
    deepmark detect photo.jpg                          prints what is in it
    deepmark detect photos/ --draw drawn/              draws boxes and landmarks
    deepmark detect 'in/**/*.png' --out found.jsonl    a line of JSON for each image
    deepmark detect photos -r --category skirt --crops skirts/
    deepmark detect https://example.com/a.jpg --model models:/deepmark@champion
    curl -s https://example.com/a.jpg | deepmark detect - --json
    deepmark detect walk.mp4 --draw drawn/ --out walk.jsonl   numbers garments from frame to frame
    deepmark detect 0 --out camera.jsonl               camera 0, until Ctrl-C
    ```

    \b
    ```
    --out FILE.json      for each image its garments: category, score, box, landmarks
    --out FILE.jsonl     the same, a line for each image; does not need memory for all
    --out FILE.csv       a row for each garment
    --out FILE.parquet   the same with landmarks as lists
    --out FILE.coco.json a COCO data set whose annotations have scores
    ```

    Boxes are x0 y0 x1 y1 and landmarks x y score, in pixels of the image as people see it (turned upright by EXIF). A
    checkpoint in its workspace is used as the section `predict` of params.yaml says there, a copy of it elsewhere as it
    said when it was trained. An exported model.onnx needs neither PyTorch nor a workspace. With --batch, scores of a
    checkpoint may differ in their last digits.
    """
    from deepmark.cli.detect_outputs import checked_results
    from deepmark.cli.detect_video import detect_in_video
    from deepmark.detectors import load_detector
    from deepmark.infer.choose_garments import category_numbers, choose_garments
    from deepmark.infer.detect_files import detect_files
    from deepmark.infer.find_images import find_images, is_video

    _check_no_result_file(images)
    used = chosen_model(model, "detect", strategy=strategy, quiet=as_json, workspace=workspace)
    wanted: set[int] = set()

    def keep(found: "Detections") -> "Detections":
        return choose_garments(found, categories=wanted, one_at_a_place=agnostic_nms)

    def load() -> "ImageDetector":
        detector = load_detector(used, device=device, strategy=strategy, min_score=min_score, workspace=workspace)
        wanted.update(category_numbers(category or (), detector.vocabulary))
        if _has_seen_drawings_only(workspace if used.startswith("models:") else Path(used)):
            _tell("this model was trained on drawn images only; in photographs it finds little, and much of it wrong")
        return detector

    if len(images) == 1 and is_video(images[0]):
        facts = detect_in_video(images[0], load, keep, out=out, draw=draw, crops=crops, smooth=smooth, note=_tell)
        print_facts(facts, as_json)
        return
    sources = find_images(images, recursive=recursive, note=_tell)
    detector = load()
    vocabulary = detector.vocabulary
    results = checked_results(sources, Path(used), vocabulary, out=out, draw=draw, crops=crops, as_json=as_json)
    summary = detect_files(sources, detector, results, batch=batch, keep=keep)
    if summary.images > 1:
        speed = _speed(summary.images / summary.seconds)
        garments = f"{summary.garments:,} garment{'s' * (summary.garments != 1)}"
        _tell(f"{summary.images:,} images, {garments}, {speed} images a second")
    if summary.interrupted:
        _tell(_left_behind(len(sources), summary.images, out, [folder for folder in (draw, crops) if folder]))
        raise typer.Exit(INTERRUPTED)
    if summary.failed:
        if out is not None and not summary.images:
            _tell(f"{out}: not written, because no image could be read")
        raise typer.Exit(1)


def _has_seen_drawings_only(place: Path) -> bool:
    """Whether the raw data of the workspace that this is, or lies in, was drawn by `deepmark synth`."""
    from deepmark.workspace.layout import enclosing_workspace

    workspace = enclosing_workspace(place / "here")
    return workspace is not None and (workspace.root / _raw_folder(workspace.root) / DRAWN_MARK).is_file()


def _raw_folder(root: Path) -> str:
    """data.raw of the workspace's params.yaml, without pydantic, which the base package has not."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return str(YAML(typ="safe").load(root / "params.yaml")["data"]["raw"])
    except (OSError, YAMLError, KeyError, TypeError):  # a stage says what is wrong with it
        return "data/raw"


def _speed(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _tell(text: str) -> None:
    typer.echo(f"deepmark detect: {text}.", err=True)


def _left_behind(count: int, done: int, out: Path | None, folders: Sequence[Path]) -> str:
    """What there is after Ctrl-C, in words."""
    parts = [f"interrupted after {done:,} of {count:,} images"]
    if out is not None:
        lines = done and out.name.lower().endswith(".jsonl")
        parts.append(f"{out} has a line for each of them" if lines else f"{out} was not written")
    parts += [f"{folder} has what was finished" for folder in folders]
    return "; ".join(parts)


def _check_no_result_file(images: Sequence[str]) -> None:
    """Raise DeepmarkError for `--json FILE`, the spelling of earlier releases: FILE is now taken for an image."""
    for image in images:
        if image.lower().endswith(".json") and not Path(image).is_dir() and "://" not in image:
            raise DeepmarkError(
                f"{image}: not an image. --json prints the detections on standard output; "
                "`--out FILE.json` writes them to a file."
            )
