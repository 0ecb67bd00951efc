"""`deepmark synth`: images of drawn garments with their labels, or a clip of two wearers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from deepmark.cli.options import JsonOption, print_facts
from deepmark.cli.outputs import check_folder
from deepmark.errors import DeepmarkError
from deepmark.schema import Statistics, Style
from deepmark.vocabulary import DEEPFASHION2


def synth(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where train/ and validation/ are made.")],
    train: Annotated[int, typer.Option(min=0, help="Images to train on.")] = 4500,
    validation: Annotated[int, typer.Option(min=0, help="Images to validate on.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 1,
    statistics: Annotated[
        Statistics,
        typer.Option(help="deepfashion2: images of its shapes, and training items as frequent as there, some rare."),
    ] = Statistics.EVEN,
    vocabulary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the categories of a vocabulary.yaml from their outlines.")
    ] = None,
    style: Annotated[
        Style, typer.Option(help="2d: drawn. 3d: rendered, on bodies or alone; needs the extra synth3d.")
    ] = Style.FLAT,
    grounds: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="With --style 3d: photographs for the background, also in folders of this one."
        ),
    ] = None,
    video: Annotated[bool, typer.Option("--video", help="Draw a clip instead: clip.mp4 and its truth.jsonl.")] = False,
    frames: Annotated[int, typer.Option(min=60, help="Of the clip, 25 a second.")] = 150,
    as_json: JsonOption = False,
) -> None:
    """Draw garments in DeepFashion2's own file format, landmarks exact.

    With `--vocabulary`, those of another vocabulary, from its outlines. With `--video`, two wearers who walk, turn and
    pass each other; one is hidden for ten frames. With `--style 3d`, people in clothes, and clothes that lie or
    hang, lit and seen by a camera; what validation images show, such as fabrics, poses and grounds, is rare or missing
    in training images.
    """
    from deepmark.progress import progress
    from deepmark.synthetic import draw_clip_files, draw_dataset
    from deepmark.vocabulary.vocabulary_file import read_vocabulary

    if video and vocabulary is not None:
        raise DeepmarkError("--video draws garments of DeepFashion2. Leave --vocabulary out, or draw images.")
    solid = style is Style.SOLID
    if solid and (video or vocabulary is not None or statistics is not Statistics.EVEN):
        raise DeepmarkError("--style 3d goes with none of --video, --vocabulary and --statistics. Leave these out.")
    if grounds is not None and not solid:
        raise DeepmarkError("--grounds is for --style 3d. Leave it out, or choose that style.")
    words = DEEPFASHION2 if vocabulary is None else read_vocabulary(vocabulary)
    check_folder(folder, "DIR")
    with progress("draw", frames if video else train + validation) as advance:
        if video:
            facts = draw_clip_files(folder, frames=frames, seed=seed, progress=advance)
        elif solid:
            facts = _render(folder, grounds, train=train, validation=validation, seed=seed, progress=advance)
        else:
            facts = draw_dataset(
                folder,
                train=train,
                validation=validation,
                seed=seed,
                statistics=statistics,
                vocabulary=words,
                progress=advance,
            )
    print_facts(facts, as_json)


def _render(folder: Path, grounds: Path | None, **options: Any) -> dict[str, int]:
    from deepmark.infer.find_images import find_images
    from deepmark.synthetic.rendered.dataset import render_dataset

    found = [] if grounds is None else find_images([grounds], recursive=True, note=_tell)
    return render_dataset(folder, grounds=[file for file in found if isinstance(file, Path)], **options)


def _tell(text: str) -> None:
    typer.echo(f"deepmark synth: --grounds: {text}.", err=True)
