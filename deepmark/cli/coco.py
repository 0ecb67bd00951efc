"""Commands on COCO files: `score` computes the official metric, `convert` writes and reads the format."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, open_workspace, print_facts, print_json
from deepmark.cli.outputs import COCO_DATA, COCO_RESULTS, SCORES, check_folder, check_new_file
from deepmark.errors import DeepmarkError
from deepmark.files import require_space
from deepmark.schema import Frame, Kind, Split, Strategy

_BYTES = 9
"""Of a landmark of the flat list in a COCO file: three numbers, most of them 0."""

VocabularyOption = Annotated[
    Path | None,
    typer.Option("--vocabulary", metavar="FILE", help="vocabulary.yaml of the files' categories; else DeepFashion2's."),
]


class Engine(StrEnum):
    hotcoco = "hotcoco"
    pycocotools = "pycocotools"


class Output(StrEnum):
    coco = "coco"
    coco_results = "coco-results"


class Input(StrEnum):
    coco = "coco"


def score(
    truth: Annotated[Path, typer.Argument(metavar="TRUTH.json", help="A COCO data set.")],
    results: Annotated[Path, typer.Argument(metavar="RESULTS.json", help="A COCO results file.")],
    kind: Annotated[Kind, typer.Option(help="bbox: boxes, 12 figures; keypoints: landmarks, 10 figures.")],
    visible_only: Annotated[
        bool, typer.Option("--visible-only", help="Occluded landmarks (v = 1) count as not labelled.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="SCORES.json", help="File for all figures, every digit.")] = None,
    engine: Annotated[
        Engine, typer.Option(help="hotcoco: quick and small; pycocotools: the official code itself.")
    ] = Engine.hotcoco,
    vocabulary: VocabularyOption = None,
    as_json: JsonOption = False,
) -> None:
    """The official figures of any results: COCO files in the layout of DeepFashion2's official converter."""
    from deepmark.eval.coco_score.score import score_files
    from deepmark.files import write_json
    from deepmark.progress import progress
    from deepmark.report.tables.score_tables import categories_table, figures_table
    from deepmark.report.tables.table import print_table
    from deepmark.vocabulary.vocabulary_file import read_vocabulary

    if visible_only and kind is Kind.BBOX:
        raise DeepmarkError("--visible-only: boxes have no landmarks. Add --kind keypoints, or leave it out.")
    if out is not None:
        check_new_file(out, "--out", SCORES, inputs=[truth, results])
    typer.echo(f"reading {truth}", err=True)
    known = None if vocabulary is None else read_vocabulary(vocabulary)
    choices: dict[str, Any] = {"kind": kind, "visible_only": visible_only, "engine": engine.value}
    scores = score_files(truth, results, vocabulary=known, **choices, watch=progress)
    if scores.negative_boxes:
        typer.echo(
            f"{results}: {scores.negative_boxes:,} of {scores.results:,} boxes have a negative width or height: as in "
            "pycocotools they find nothing, and those of negative area do not count as wrong either",
            err=True,
        )
    values = scores.as_dict()
    if out is not None:
        write_json(out, values)
    if as_json:
        print_json(values)
        return
    print_table(figures_table(values))
    print_table(categories_table(values))


def convert(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="With --from: the COCO data set to read.")
    ] = None,
    to: Annotated[
        Output | None,
        typer.Option(help="coco: the records of --split; coco-results: the predictions of --strategy."),
    ] = None,
    origin: Annotated[Input | None, typer.Option("--from", help="coco: a data set in the converter's layout.")] = None,
    split: Annotated[Split | None, typer.Option(help="With --to coco: which part of the data set.")] = None,
    strategy: Annotated[Strategy | None, typer.Option(help="With --to coco-results: whose predictions.")] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(help="With --to coco-results after predict.rescore: whose scores, boxes' or landmarks'."),
    ] = None,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="With --from: the folder of the images.")] = None,
    orientation: Annotated[
        Frame | None,
        typer.Option(help="With --from: what labels mean where EXIF data turns an image and its size does not tell."),
    ] = None,
    vocabulary: VocabularyOption = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; with --from, a new folder for ingest.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Records or predictions to COCO files (--to); a COCO data set to folders that ingest takes (--from)."""
    given = {"FILE": file, "--split": split, "--strategy": strategy, "--images": images, "--out": out}
    if (to is None) == (origin is None):
        raise DeepmarkError("give one of --to coco, --to coco-results and --from coco; `deepmark convert --help`.")
    needed = {Output.coco: {"--split", "--out"}, Output.coco_results: {"--strategy", "--out"}}
    wanted = {"FILE", "--images", "--out"} if to is None else needed[to]
    way = "--from coco" if to is None else f"--to {to}"
    if to is not None and orientation is not None:
        raise DeepmarkError(f"{way} takes no --orientation. It goes with --from coco.")
    if to is not None and vocabulary is not None:
        raise DeepmarkError(f"{way} takes no --vocabulary: records and predictions have theirs. It goes with --from.")
    if to is not Output.coco_results and kind is not None:
        raise DeepmarkError(f"{way} takes no --kind. It goes with --to coco-results.")
    for name, value in given.items():
        if (value is not None) != (name in wanted):
            do = f"needs {name}" if value is None else f"takes no {name}"
            raise DeepmarkError(f"{way} {do}. It goes with {', '.join(sorted(wanted))}.")
    assert out is not None
    if to is None:
        check_folder(out, "--out")
    else:
        check_new_file(out, "--out", COCO_DATA if to is Output.coco else COCO_RESULTS)
    if to is Output.coco:
        assert split is not None
        print_facts(_records(workspace, split, out), as_json)
    elif to is Output.coco_results:
        assert strategy is not None
        print_facts(_predictions(workspace, strategy, kind, out), as_json)
    else:
        assert file is not None
        assert images is not None
        print_facts(_import(file, images, out, vocabulary, orientation), as_json)


def _records(workspace: Path, split: str, out: Path) -> dict[str, Any]:
    from deepmark.data.coco.writer import write_coco
    from deepmark.data.records import open_records, read_records
    from deepmark.progress import progress

    path = open_workspace(workspace).records_file(split)
    with open_records(path) as records:
        pictures = records.metadata.num_rows
    rows = read_records(path)
    require_space(out, pictures * rows.vocabulary.landmarks * _BYTES)  # every record has a garment
    with progress("write images", pictures) as advance:
        return write_coco(out, rows, rows.vocabulary, progress=advance)


def _predictions(workspace: Path, strategy: str, kind: Kind | None, out: Path) -> dict[str, Any]:
    from deepmark.data.coco.writer import write_coco_results
    from deepmark.data.predictions import read_predictions
    from deepmark.progress import progress

    file = open_workspace(workspace).predictions_file(strategy)
    predictions, _ = read_predictions(file)
    require_space(out, file.stat().st_size)  # as text, the same numbers take more
    with progress("write images", 0) as advance:
        return write_coco_results(out, predictions, kind=kind, progress=advance)


def _import(file: Path, images: Path, out: Path, vocabulary: Path | None, frame: Frame | None) -> dict[str, Any]:
    from deepmark.data.coco.import_images import QUALITY
    from deepmark.data.coco.importer import STANDINS, import_coco
    from deepmark.progress import progress
    from deepmark.vocabulary import DEEPFASHION2
    from deepmark.vocabulary.vocabulary_file import read_vocabulary

    known = DEEPFASHION2 if vocabulary is None else read_vocabulary(vocabulary)
    typer.echo(f"reading {file}", err=True)
    with progress("write images", 0) as advance:
        facts = import_coco(file, images, out, known, frame=frame, progress=advance)
    total, written, left_out = (facts[name] for name in ("pictures_in_file", "pictures", "pictures_without_items"))
    typer.echo(f"{total:,} images in {file} = {written:,} written + {left_out:,} without items, left out", err=True)
    if facts["changed"]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in facts["changed"].items())
        typer.echo(f"not linked but written as JPEGs of quality {QUALITY}: {reasons}", err=True)
    if facts["numbered_anew"]:
        typer.echo(f"ids of more than nine digits: images are numbered anew, as {out / 'images.csv'} says", err=True)
    for name, count in facts["stood_in"].items():
        of, total = ("images", written) if name in ("source", "pair_id") else ("items", facts["items"])
        value = STANDINS.get(name, "its own number")
        typer.echo(f"{name}: missing for {count:,} of {total:,} {of}, each was given {value}", err=True)
    if (STANDINS.keys() - {"style"}) & facts["stood_in"].keys():
        typer.echo("tables by these fields will say nothing: docs/evaluation.md, 'Converting COCO files'", err=True)
    return facts
