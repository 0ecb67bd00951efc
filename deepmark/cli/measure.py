"""`deepmark measure`: lengths and widths of the garments in images, in pixels or centimetres, with intervals."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepmark.cli.options import JsonOption, StrategyOption, chosen_model, print_json
from deepmark.cli.outputs import MEASURED, Format, check_folder, check_new_file
from deepmark.errors import DeepmarkError
from deepmark.schema import Strategy

if TYPE_CHECKING:
    import numpy as np

    from deepmark.images import OpenedImage
    from deepmark.infer.find_images import Source
    from deepmark.measure.measure import MeasuredGarment
    from deepmark.measure.precision import Precision
    from deepmark.measure.scale import Scale
    from deepmark.shapes import UInt8
    from deepmark.vocabulary import Vocabulary

_ROW = "image,garment,category,score,measurement,value,low,high,unit,hidden,landmarks"
"""The columns of a CSV file."""

_TABLE = Format("measurements", lambda start: start.startswith(_ROW.encode()))

_MARK = b"deepmark measure"
_DRAWING = Format("drawings of `deepmark measure`", lambda start: start.startswith(b"\x89PNG") and _MARK in start)


def measure(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Files, folders, 'patterns', URLs, - for standard input.")
    ],
    model: Annotated[
        str | None, typer.Option(show_default=False, help="What `deepmark detect --model` takes, and by default takes.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="What to measure, instead of DeepMark's own table.")
    ] = None,
    marker_cm: Annotated[
        float | None, typer.Option(metavar="SIDE", help="Centimetres by ArUco markers of this side in each image.")
    ] = None,
    dictionary: Annotated[str, typer.Option(help="OpenCV's dictionary that the markers are of.")] = "4X4_50",
    scale: Annotated[
        str | None,
        typer.Option(metavar="X0,Y0,X1,Y1=30cm", help="Centimetres by two points, pixels, and their distance."),
    ] = None,
    pixels_per_cm: Annotated[float | None, typer.Option(help="Centimetres by the number of pixels in one.")] = None,
    precision: Annotated[
        Path | None,
        typer.Option(
            metavar="landmarks.csv",
            help="The landmarks' errors, from `deepmark evaluate`; by default those of the model's workspace, if any.",
        ),
    ] = None,
    strategy: StrategyOption = Strategy.NMS,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, show_default=False, help="Garments of lower scores are left out: 0.3.")
    ] = None,
    draw: Annotated[Path | None, typer.Option(help="Folder for the images with dimension lines.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.csv|FILE.json", help="File for the measurements, not rounded.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure clothes in images along their landmarks: chest, waist, sleeve, length and more, by category.

    Each length has an interval of 95% for the errors of landmarks and scale; a garment that is tilted, folded or
    stretched is measured as it lies in the image. Of detections that overlap the best is measured. --scale and
    --pixels-per-cm hold for all images alike.
    """
    from deepmark.detectors import load_detector
    from deepmark.infer.choose_garments import choose_garments
    from deepmark.infer.detect_files import name_of, open_source
    from deepmark.infer.find_images import find_images
    from deepmark.measure.draw_measurements import draw_measurements
    from deepmark.measure.measure import measure as measure_garments
    from deepmark.measure.table import read_table
    from deepmark.progress import progress

    used = chosen_model(model, "measure", strategy=strategy, quiet=as_json)
    scale_of = _scales(marker_cm, dictionary, scale, pixels_per_cm)
    sources = find_images(images, note=_tell)
    files = [source for source in sources if isinstance(source, Path)]
    drawings = _drawings(draw, sources, files) if draw is not None else {}
    if out is not None:
        check_new_file(out, "--out", _format(out), inputs=[*files, *drawings.values(), Path(used)])
    detector = load_detector(used, strategy=strategy, min_score=min_score)
    vocabulary = detector.vocabulary
    measurements, errors = read_table(table, vocabulary), _precision(precision, Path(used), strategy, vocabulary)
    found: dict[str, list[MeasuredGarment]] = {}
    scales: dict[str, Scale] = {}
    failed = False
    with progress("measure", len(sources)) as advance:
        for source in sources:
            try:
                image = open_source(source)
                here = scale_of(image)
                garments = measure_garments(
                    choose_garments(detector(image), one_at_a_place=True), measurements, errors, here
                )
            except DeepmarkError as error:
                _tell(str(error).rstrip("."))
                failed = True
            else:
                name = name_of(source)
                found[name], scales[name] = garments, here
                if source in drawings:
                    _save(draw_measurements(image.pixels(), garments, here), drawings[source])
            advance(1)
    facts = {
        path: {"scale": scales[path].reference, "garments": [garment.as_dict() for garment in garments]}
        for path, garments in found.items()
    }
    if out is not None and found:
        _write(out, found, facts)
    elif out is not None:
        _tell(f"{out}: not written, because no image could be measured")
    if as_json:
        print_json({"precision": errors.source, "images": facts})
    else:
        for name, garments in found.items():
            typer.echo("\n".join(_lines(name, garments)))
    if failed:
        raise typer.Exit(1)


def _drawings(folder: Path, sources: "Sequence[Source]", files: Sequence[Path]) -> "dict[Source, Path]":
    """The file of each image's drawing; raises DeepmarkError where one would replace what is no drawing of ours."""
    from deepmark.infer.image_files import stems_of

    drawings = {source: folder / f"{stem}.png" for source, stem in stems_of(sources).items()}
    check_folder(folder, "--draw")
    for drawing in drawings.values():
        check_new_file(drawing, "--draw", _DRAWING, inputs=files)
    return drawings


def _save(image: "UInt8[np.ndarray, 'h w 3']", path: Path) -> None:
    from PIL import Image, PngImagePlugin

    from deepmark.files import new_file

    mark = PngImagePlugin.PngInfo()
    mark.add_text("Software", _MARK.decode())
    with new_file(path) as draft:
        Image.fromarray(image).save(draft, pnginfo=mark)


def _scales(
    marker_cm: float | None, dictionary: str, known: str | None, pixels_per_cm: float | None
) -> "Callable[[OpenedImage], Scale]":
    """The scale of an image, by the one option that is given; pixels without any."""
    from deepmark.measure.scale import Scale, by_known_length, by_marker, by_number, check_marker

    given = {"--marker-cm": marker_cm, "--scale": known, "--pixels-per-cm": pixels_per_cm}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise DeepmarkError(f"{' and '.join(names)}: each gives the scale. Give one of them.")
    if marker_cm is not None:
        check_marker(marker_cm, dictionary)
        return lambda image: by_marker(image.pixels(), marker_cm, dictionary, name=image.name)
    if known is not None:
        scale = by_known_length(known)
    else:
        scale = Scale() if pixels_per_cm is None else by_number(pixels_per_cm)
    return lambda image: scale


def _precision(given: Path | None, model: Path, strategy: str, vocabulary: "Vocabulary") -> "Precision":
    """The precision of a table, or of the evaluation in the model's workspace; else that of the metric's sigmas."""
    from deepmark.measure.precision import by_evaluation, by_oks
    from deepmark.workspace.layout import Workspace, workspace_of_model

    workspace = Workspace(model) if (model / "params.yaml").is_file() else workspace_of_model(model)
    if given is None and workspace:
        own = workspace.tables(strategy) / "landmarks.csv"
        given = own if own.is_file() else None
    return by_oks(vocabulary) if given is None else by_evaluation(given, vocabulary)


def _format(out: Path) -> Format:
    formats = {".json": MEASURED, ".csv": _TABLE}
    if out.suffix.lower() not in formats:
        raise DeepmarkError(f"--out {out}: measurements are written as .csv or .json. Name such a file.")
    return formats[out.suffix.lower()]


def _write(out: Path, found: "Mapping[str, Sequence[MeasuredGarment]]", facts: dict[str, Any]) -> None:
    from deepmark.files import write_text

    if out.suffix.lower() == ".json":
        write_text(out, json.dumps(facts, indent=2) + "\n")
        return
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_ROW.split(","))
    for path, garments in found.items():
        for number, garment in enumerate(garments, 1):
            for one in garment.lengths:
                numbers = (one.value, one.low, one.high, one.unit)
                ends = ("; ".join(one.hidden), "; ".join(one.landmarks))
                rows.writerow([path, number, garment.category.name, garment.score, one.name, *numbers, *ends])
    write_text(out, text.getvalue())


def _lines(path: str, garments: "Sequence[MeasuredGarment]") -> list[str]:
    if not garments:
        return [f"{path}: nothing found"]
    lines = []
    for garment in garments:
        lines.append(f"{path}: {garment.category.name} {garment.score:.2f}")
        for one in garment.lengths:
            hidden = f"   hidden: {', '.join(one.hidden)}" if one.hidden else ""
            interval = f"({one.low:.1f} to {one.high:.1f})"
            lines.append(f"  {one.name:26}{one.value:8.1f} {one.unit}   {interval}{hidden}")
    return lines


def _tell(text: str) -> None:
    typer.echo(f"deepmark measure: {text}.", err=True)
